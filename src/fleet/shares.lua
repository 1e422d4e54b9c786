-- Hands out shares of rates, by demand: the unexpired shares of all gateways are never more than the whole.
--
-- Keys: the state of the grants, and each ledger's shares. Arguments: this gateway's run, for how many milliseconds a
-- share holds, the whole that is handed out, the questions as JSON.
local gateway, life, whole = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function hash(key)
  local fields, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local state = hash(KEYS[1])
local now = clock + tonumber(state.offset or 0)
-- An engine that may have forgotten shares hands none out before the last of them has ended.
local may_forget = state.run ~= run or now - tonumber(state.since or now) < life

local answers = {}
for i, ask in ipairs(cjson.decode(ARGV[4])) do
  local key, others, demand = KEYS[i + 1], 0, ask.demand
  for name, value in pairs(hash(key)) do
    local till, part, wants = string.match(value, '^(%d+) (%d+) (%d+)$')
    if not till or tonumber(till) < clock then
      redis.call('HDEL', key, name)
    elseif name ~= gateway then
      others, demand = others + tonumber(part), demand + tonumber(wants)
    end
  end
  local target = demand > 0 and math.floor(whole * ask.demand / demand) or 0
  local part = may_forget and ask.keeps or math.max(ask.keeps, math.min(target, whole - others))
  redis.call('HSET', key, gateway, string.format('%.0f %.0f %.0f', clock + life, part, ask.demand))
  redis.call('EXPIRE', key, 60)
  answers[i] = { part, target }
end
return answers
