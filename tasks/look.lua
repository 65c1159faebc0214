-- Look into inboxes, take nothing out, and note for each exam that work on it begins.
--
-- KEYS  of each exam: inbox   hash entry id -> letter
--                     attempts   hash: the number of attempts that came to no end
-- ARGV  1 field of the attempts at all letters together, 2 seconds for which that is remembered
-- Returns the clock in ms, then for each exam its letters, name and value by turns, and the number.

local time = redis.call('TIME')
local found = {time[1] * 1000 + math.floor(time[2] / 1000)}
for i = 1, #KEYS, 2 do
  found[#found + 1] = redis.call('HGETALL', KEYS[i])
  found[#found + 1] = redis.call('HINCRBY', KEYS[i + 1], ARGV[1], 1)
  redis.call('EXPIRE', KEYS[i + 1], ARGV[2])
end
return found
