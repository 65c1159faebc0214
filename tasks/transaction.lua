#!lua
-- Do commands one after the other, all of them or none: where Redis takes nothing, as its memory is
-- full, it refuses a script that begins with the line above before it begins.
--
-- ARGV  1 MessagePack of a list of commands, each a list of its words
-- Returns how many there were; or the first error. Behind a key of another type the rest is done, as
-- EXEC would; behind any other error nothing more is.

local commands = cmsgpack.unpack(ARGV[1])
local failed
for _, words in ipairs(commands) do
  local said = redis.pcall(unpack(words))
  if type(said) == 'table' and said.err then
    failed = failed or said
    if not string.find(said.err, 'WRONGTYPE', 1, true) then
      return failed
    end
  end
end
return failed or #commands
