-- Look into inboxes, take nothing out, and note for each exam that work on it begins.
--
-- KEYS  1 attempts     hash pk -> the number of attempts that came to no end
--       2... inbox of each exam   hash entry id -> letter
-- ARGV  pk of each exam
-- Returns the clock in ms, then for each exam its letters, name and value by turns, and the number.

local time = redis.call('TIME')
local found = {time[1] * 1000 + math.floor(time[2] / 1000)}
for i, pk in ipairs(ARGV) do
  found[#found + 1] = redis.call('HGETALL', KEYS[i + 1])
  found[#found + 1] = redis.call('HINCRBY', KEYS[1], pk, 1)
end
return found
