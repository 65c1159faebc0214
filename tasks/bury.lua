-- Set one entry aside for people: copy it with a reason, acknowledge it, empty its inbox.
--
-- KEYS  1 commands   stream; the entry is pending in the group
--       2 dead       stream; one entry per buried entry: entry, at, reason, deliveries, error where
--                    there was one, then each original field with "field:" before its name, so that
--                    no name can pass for one of ours
--       3 times      hash entry id -> ingress time in ms, where the id does not tell it
--       4 inbox      hash, optional; the entry's letter is removed
-- ARGV  1 group, 2 entry id, 3 reason, 4 digest of the error, or an empty string, 5 the mark of
--       an exam's buried command, by which it is known for one that had no effect
-- Returns 1 when it was buried, 0 when it was not pending any more.

-- Lua's stack holds 8000 values; an entry with more fields keeps as many as fit.
local MOST = 3500 * 2

-- The ingress time: as fixed in the inbox, or when it was dead before, or as in place.lua.
local function arrival()
  local letter = KEYS[4] and redis.call('HGET', KEYS[4], ARGV[2])
  local known = letter and string.match(letter, '^%d+')
  known = known or string.match(redis.call('HGET', KEYS[3], ARGV[2]) or '', '^%d+$')
  if known then
    return known
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  return string.format('%.0f', math.min(tonumber(string.match(ARGV[2], '^%d+')), now))
end

local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
if not pending then
  return 0
end
local copy = {'entry', ARGV[2], 'at', arrival(), 'reason', ARGV[3], 'deliveries', pending[4]}
if ARGV[4] ~= '' then
  copy[#copy + 1] = 'error'
  copy[#copy + 1] = ARGV[4]
end
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if found then
  local fields = found[2]
  for i = 1, math.min(#fields, MOST), 2 do
    copy[#copy + 1] = 'field:' .. fields[i]
    copy[#copy + 1] = fields[i + 1]
  end
end
redis.call('XADD', KEYS[2], '*', unpack(copy))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if KEYS[4] then
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[5])
  redis.call('HDEL', KEYS[4], ARGV[2])
else
  redis.call('HDEL', KEYS[3], ARGV[2])
end
return 1
