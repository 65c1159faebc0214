-- Look into inboxes, take nothing out, and note for each exam that work on it begins.
--
-- KEYS  of each exam: inbox      hash entry id -> letter
--                     attempts   string: the number of attempts that came to no end
-- ARGV  1 seconds for which that is remembered
-- Returns the clock in ms, then for each exam its letters, name and value by turns, and the number.

local time = redis.call('TIME')
local found = {time[1] * 1000 + math.floor(time[2] / 1000)}
for i = 1, #KEYS, 2 do
  found[#found + 1] = redis.call('HGETALL', KEYS[i])
  local is_first = redis.call('SET', KEYS[i + 1], 1, 'EX', ARGV[1], 'NX')
  found[#found + 1] = is_first and 1 or redis.call('INCR', KEYS[i + 1])
end
return found
