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
-- ARGV  1 token, 2 group, 3 consumer of echoes, 4 1 if the letters' entries were read for the first
--       time, under this lease: nobody can have acknowledged them; then for each queue: number of
--       messages, the messages; then the entry id of each letter; then each letter; then the entry
--       id of each echo
-- Returns -1 when the lease is lost, else the number of letters placed.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_new = ARGV[4] == '1'
local exams = tonumber(ARGV[5])
local slows = tonumber(ARGV[6 + exams])
local before_entries = 6 + exams + slows
local letters = #KEYS - 6
local known = {}
if letters > 0 then
  known = redis.call('HMGET', KEYS[4], unpack(ARGV, before_entries + 1, before_entries + letters))
end
local placed = 0
for i = 1, letters do
  local entry, letter = ARGV[before_entries + i], ARGV[before_entries + letters + i]
  if is_new or #redis.call('XPENDING', KEYS[2], ARGV[2], entry, entry, 1) > 0 then
    local id_ms = tonumber(string.match(entry, '^%d+'))
    local at = math.min(tonumber(known[i] or '') or id_ms, now)
    local value = string.format('%.0f', at) .. ' ' .. letter
    placed = placed + redis.call('HSETNX', KEYS[6 + i], entry, value)
    if at ~= id_ms then
      redis.call('HSET', KEYS[4], entry, string.format('%.0f', at))
    end
  end
end
local first_echo = before_entries + 2 * letters + 1
if #ARGV >= first_echo then
  local echoes = {unpack(ARGV, first_echo)}
  redis.call('HDEL', KEYS[4], unpack(echoes))
  echoes[#echoes + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[3], 0, unpack(echoes))
end
if exams > 0 then
  redis.call('LPUSH', KEYS[5], unpack(ARGV, 6, 5 + exams))
end
if slows > 0 then
  redis.call('LPUSH', KEYS[6], unpack(ARGV, 7 + exams, 6 + exams + slows))
end
redis.call('DEL', KEYS[3])
return placed
