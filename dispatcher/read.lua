-- Read entries from the stream, if the caller is still the active dispatcher.
--
-- The lease is looked at and renewed in the same step as the read: a dispatcher that was paused,
-- and has lost its lease, takes nothing away from its successor.
--
-- KEYS  1 lease      string, the active dispatcher's token
--       2 commands   stream
--       3 in hand    string; set while entries are read and not placed
--       4 queue      list of Celery messages that wait for an exam worker
-- ARGV  1 token, 2 lease in ms, 3 group, 4 consumer, 5 '>' for new entries, or the id after which
--       to list what is pending, 6 most entries; 0 to look at the queue only
-- Returns {'lost'}, or {'read', entries, number of messages in the queue}

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {'lost'}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local depth = redis.call('LLEN', KEYS[4])
if tonumber(ARGV[6]) == 0 then
  return {'read', {}, depth}
end
local reply = redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', ARGV[6],
                         'STREAMS', KEYS[2], ARGV[5])
local entries = reply and reply[1] and reply[1][2] or {}
if #entries > 0 then
  redis.call('SET', KEYS[3], #entries)
end
return {'read', entries, depth}
