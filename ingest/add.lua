-- Put commands on the stream, in their order: one argument and one answer for all cost a fraction
-- of one for each.
-- KEYS: stream.  ARGV: MessagePack of a list of entries, each a list of its names and values.
-- Returns: of each its id, or the error that it alone met.
local said = {}
for at, entry in ipairs(cmsgpack.unpack(ARGV[1])) do
  said[at] = redis.pcall('XADD', KEYS[1], '*', unpack(entry))
end
return said
