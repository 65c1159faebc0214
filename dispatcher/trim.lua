-- Remove old entries from the stream, below everything that anyone has not finished with.
--
-- Never by length: MAXLEN takes entries that nobody has read. Each group's oldest pending entry,
-- and the last one delivered to it, are kept, and what is behind them.
--
-- KEYS  1 commands
--       2 times     hash by entry id; what it holds of entries that are gone goes, too
-- ARGV  1 milliseconds for which an entry is kept at least
-- Returns the number of entries removed.

-- Ids have up to 20 digits on each side of the dash, more than Lua's numbers hold.
local function padded(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end

local function lower(one, other)
  return padded(one) < padded(other) and one or other
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local keep = string.format('%.0f', math.max(0, now - ARGV[1])) .. '-0'
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #flat, 2 do
    group[flat[i]] = flat[i + 1]
  end
  keep = lower(keep, group['last-delivered-id'])
  local pending = redis.call('XPENDING', KEYS[1], group['name'])
  if pending[1] > 0 then
    keep = lower(keep, pending[2])
  end
end
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', keep, 'LIMIT', 0)
if removed > 0 then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  for _, entry in ipairs(redis.call('HKEYS', KEYS[2])) do
    if first and lower(entry, first[1]) ~= first[1] then
      redis.call('HDEL', KEYS[2], entry)
    end
  end
end
return removed
