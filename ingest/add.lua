-- Put commands on the stream, in their order: one answer for all costs a fraction of one for each.
-- KEYS: stream.  ARGV: for each entry the number of its fields' names and values, and these.
-- Returns: of each its id, or the error that it alone met.
local said = {}
local at = 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  said[#said + 1] = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return said
