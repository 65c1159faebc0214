-- Put a dead letter back onto the stream, as it came and with the time at which it came.
--
-- The time lies in a hash beside the stream, by the new entry's id: nobody who only adds entries can
-- claim one. The command keeps its id: where its producer gave none it was the first entry's. So it
-- is with its trace.
--
-- KEYS  1 dead, 2 commands, 3 times  hash entry id -> ingress time in ms
-- ARGV  1 id of the dead letter, 2 traceparent that its first entry was known by if it had none
-- Returns the id of the new entry; nothing when the letter is gone, or has no fields.

local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not found then
  return false
end
local at, entry, fields, has_id, has_trace = nil, nil, {}, false, false
for i = 1, #found[2], 2 do
  local name, value = found[2][i], found[2][i + 1]
  if string.sub(name, 1, 6) == 'field:' then
    local own = string.sub(name, 7)
    has_id = has_id or own == 'id'
    has_trace = has_trace or own == 'traceparent'
    fields[#fields + 1] = own
    fields[#fields + 1] = value
  elseif name == 'entry' then
    entry = value
  elseif name == 'at' then
    at = value
  end
end
if #fields == 0 then
  return false
end
if not has_id then
  fields[#fields + 1] = 'id'
  fields[#fields + 1] = entry
end
if not has_trace then
  fields[#fields + 1] = 'traceparent'
  fields[#fields + 1] = ARGV[2]
end
local new = redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('HSET', KEYS[3], new, at or string.match(entry, '^%d+'))
redis.call('XDEL', KEYS[1], ARGV[1])
return new
