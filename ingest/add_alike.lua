-- Put commands of one type on the stream, in their order, up to the first that it does not take.
-- KEYS: stream.  ARGV: MessagePack of a list with the data and the id of each, by turns; what all
-- of them have: type, traceparent.
-- Returns: the ids of the entries in one text, and the error that the next one met, if any did.
local given = cmsgpack.unpack(ARGV[1])
local said = {}
for at = 1, #given, 2 do
  local entry = redis.pcall('XADD', KEYS[1], '*', 'type', ARGV[2], 'data', given[at],
    'id', given[at + 1], 'traceparent', ARGV[3])
  if type(entry) == 'table' then
    return {table.concat(said, ' '), entry}
  end
  said[#said + 1] = entry
end
return {table.concat(said, ' ')}
