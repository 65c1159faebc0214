-- Do commands one after the other, and go on behind one that fails, as EXEC does.
--
-- ARGV  1 MessagePack of a list of commands, each a list of its words
-- Returns how many there were; or the first error.

local commands = cmsgpack.unpack(ARGV[1])
local failed
for _, words in ipairs(commands) do
  local said = redis.pcall(unpack(words))
  if type(said) == 'table' and said.err then
    failed = failed or said
  end
end
return failed or #commands
