-- Put a command on the stream unless its key has been used, and say which entry has it.
-- KEYS: stream, key.  ARGV: what the command asks for, seconds, fields...
-- Returns: "<what it asked for> <entry>" of whoever came first, and 1 when that was this call.
local kept = redis.call('GET', KEYS[2])
if kept then
  return {kept, 0}
end
local entry = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
local made = ARGV[1] .. ' ' .. entry
redis.call('SET', KEYS[2], made, 'EX', ARGV[2])
return {made, 1}
