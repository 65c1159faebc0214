-- Take up again entries that were delivered and not acknowledged, if the caller is still the
-- active dispatcher. What was acknowledged meanwhile, or renewed by its task, is left alone.
--
-- KEYS  1 lease, 2 commands, 3 in hand
-- ARGV  1 token, 2 group, 3 consumer, 4 least idle time in ms, 5... entry ids
-- Returns {'lost'}, or {'read', entries}

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'lost'}
end
local entries = redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[3], ARGV[4], unpack(ARGV, 5))
if #entries > 0 then
  redis.call('SET', KEYS[3], #entries)
end
return {'read', entries}
