-- Turn deadlines that have passed into commands on the stream.
--
-- A deadline is due once the clock is past its millisecond, not in it: a result of that very
-- millisecond is in time, and so lies before the expiry in the stream.
--
-- KEYS  1 deadlines  sorted set pk -> milliseconds
--       2 commands   stream
-- ARGV  1 most deadlines to turn in one call
-- Returns {now in ms, ms of the next deadline or -1, {pk, deadline, entry id, ...}}

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = '(' .. string.format('%.0f', now)
local due = redis.call('ZRANGE', KEYS[1], '-inf', before, 'BYSCORE', 'LIMIT', 0, ARGV[1],
                       'WITHSCORES')
local fired = {}
for i = 1, #due, 2 do
  local pk, deadline = due[i], string.format('%.0f', due[i + 1])
  local data = '{"pk":' .. cjson.encode(pk) .. ',"deadline":' .. deadline .. '}'
  local entry = redis.call('XADD', KEYS[2], '*', 'type', 'exam.expire', 'data', data)
  redis.call('ZREM', KEYS[1], pk)
  fired[#fired + 1] = pk
  fired[#fired + 1] = deadline
  fired[#fired + 1] = entry
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {now, first[2] and tonumber(first[2]) or -1, fired}
