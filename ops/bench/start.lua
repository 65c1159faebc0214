-- wrk: start another exam with each request. Its only argument marks the names of this round.
local mark, number = "", 0

function init(args)
  mark = args[1] or "x"
end

function request()
  number = number + 1
  local body = '{"pk":"' .. mark .. '-' .. number .. '"}'
  return wrk.format("POST", "/exams", {["Content-Type"] = "application/json"}, body)
end
