-- Put commands into the inboxes of their exams, if the caller is still the active dispatcher, and
-- hand echoes over to the slow queue's consumer. Tell the workers in the same step: a dispatcher
-- that is killed has told them, or has placed nothing.
--
-- The ingress time is fixed here: the entry id's milliseconds, unless a producer forged them into
-- the future; then this moment, which is noted. An entry that was a dead letter keeps the time of
-- its first arrival. An entry that is placed already keeps its time, and one that was acknowledged
-- meanwhile is not placed again.
--
-- KEYS  1 lease, 2 commands
--       3 in hand    deleted: the caller holds nothing any more
--       4 times      hash entry id -> ingress time in ms, where the id does not tell it
--       5 exam queue, 6 slow queue   lists of Celery messages
--       7... inbox of each letter: hash entry id -> "<ingress ms> <letter as JSON>"
-- ARGV  1 token, 2 group, 3 consumer of echoes, then for each queue: number of messages, the
--       messages; then for each inbox: entry id, letter; then the entry id of each echo
-- Returns -1 when the lease is lost, else the number of letters placed.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local exams = tonumber(ARGV[4])
local slows = tonumber(ARGV[5 + exams])
local first_letter = 6 + exams + slows
local placed = 0
for i = 7, #KEYS do
  local at_letter = first_letter + 2 * (i - 7)
  local entry, letter = ARGV[at_letter], ARGV[at_letter + 1]
  if #redis.call('XPENDING', KEYS[2], ARGV[2], entry, entry, 1) > 0 then
    local id_ms = string.match(entry, '^%d+')
    local came = tonumber(redis.call('HGET', KEYS[4], entry) or '') or tonumber(id_ms)
    local at = math.min(came, now)
    local value = string.format('%.0f', at) .. ' ' .. letter
    placed = placed + redis.call('HSETNX', KEYS[i], entry, value)
    if at ~= tonumber(id_ms) then
      redis.call('HSET', KEYS[4], entry, string.format('%.0f', at))
    end
  end
end
local first_echo = first_letter + 2 * (#KEYS - 6)
if #ARGV >= first_echo then
  local echoes = {unpack(ARGV, first_echo)}
  redis.call('HDEL', KEYS[4], unpack(echoes))
  echoes[#echoes + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[3], 0, unpack(echoes))
end
if exams > 0 then
  redis.call('LPUSH', KEYS[5], unpack(ARGV, 5, 4 + exams))
end
if slows > 0 then
  redis.call('LPUSH', KEYS[6], unpack(ARGV, 6 + exams, 5 + exams + slows))
end
redis.call('DEL', KEYS[3])
return placed
