-- Take up again entries that were delivered and not acknowledged, if the caller is still the
-- active dispatcher. What was acknowledged meanwhile, or renewed by its task, is left alone.
--
-- KEYS  1 lease, 2 commands, 3 in hand
-- ARGV  1 token, 2 lease in ms, 3 group, 4 consumer, 5 least idle time in ms, 6... entry ids
-- Returns {'lost'}, or {'read', entries}

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'lost'}
end
local entries = redis.call('XCLAIM', KEYS[2], ARGV[3], ARGV[4], ARGV[5], unpack(ARGV, 6))
if #entries > 0 then
  redis.call('SET', KEYS[3], #entries, 'PX', 5 * ARGV[2])
end
return {'read', entries}
