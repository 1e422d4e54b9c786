-- Grants leases of shared limits: see src/meter/lease/mod.rs for why no window is ever granted more than its cap.
--
-- Keys: the state of the grants, the gateways that ask for them, and for each limit what is used and what this gateway
-- was granted. Arguments: this gateway's run, the epoch that it has told everything, the gateways that it knew of, the
-- time that it expects, the questions as JSON, for how long nothing is granted after memory was lost.
local SILENCE_MS, MEMBER_MS, KEPT_MS = 5000, 12000, 15000
local gateway, told_epoch, nodes_known, expects = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local early_ms = tonumber(ARGV[6])
local function text(number) return string.format('%.0f', number) end

-- The fleet's time: the engine's clock, corrected so that it never goes back and survives another engine's clock.
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local function hash(key)
  local fields, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
local state = hash(KEYS[1])
local epoch, since, last = state.epoch, tonumber(state.since or 0), tonumber(state.last or 0)
local offset, needed, whole = tonumber(state.offset or 0), tonumber(state.needed or 0), state.whole == '1'
local now = clock + offset
local is_lost = state.run ~= run or not epoch or now > last + SILENCE_MS
local wanted = now
if is_lost and expects > 0 then wanted = expects end
if wanted < last then wanted = last end
offset, now = offset + wanted - now, wanted
if is_lost then
  epoch, since, needed, whole = run .. ':' .. text(now), now, 0, false
end

-- The gateways: which are there, and which have told this epoch all that they were granted.
local mine, told_count, nodes = { is_old = '0', told = '-' }, 0, 0
for name, member in pairs(hash(KEYS[2])) do
  local seen, is_old, told = string.match(member, '^(%d+) (%d) (%S+)$')
  if name == gateway then
    mine = { is_old = is_old or '0', told = told or '-' }
  elseif not seen or tonumber(seen) + 60000 < now then
    redis.call('HDEL', KEYS[2], name)
  else
    if told == epoch and is_old == '1' then told_count = told_count + 1 end
    if tonumber(seen) + MEMBER_MS > now then nodes = nodes + 1 end
  end
end
if mine.told ~= epoch then
  mine.is_old = nodes_known > 0 and '1' or '0'
  if nodes_known > needed then needed = nodes_known end
end
if told_epoch == epoch then mine.told = epoch end
nodes = nodes + 1
if mine.told == epoch and mine.is_old == '1' then told_count = told_count + 1 end
redis.call('HSET', KEYS[2], gateway, text(now) .. ' ' .. mine.is_old .. ' ' .. mine.told)
local is_early = now - since < early_ms
if not is_early and told_count >= needed then whole = true end
redis.call('HSET', KEYS[1], 'run', run, 'epoch', epoch, 'since', text(since), 'last', text(now), 'offset',
  text(offset), 'needed', text(needed), 'whole', whole and '1' or '0')

local function answer(ask, used_key, own_key)
  local used, changed, told = {}, {}, nil
  local kept_from = now - ask.span_ms - math.min(KEPT_MS, ask.span_ms)
  for field, value in pairs(hash(used_key)) do
    local slot = tonumber(field)
    if not slot then
      local count, at = string.match(value, '^(%d+) (%d+)$')
      told = { used = tonumber(count), at_ms = tonumber(at) }
    elseif slot < kept_from then
      redis.call('HDEL', used_key, field)
    else
      used[slot] = tonumber(value)
    end
  end
  local function add(slot, count)
    used[slot] = (used[slot] or 0) + count
    changed[slot] = true
  end
  local function own_of(slot)
    local granted, returned = string.match(redis.call('HGET', own_key, text(slot)) or '0 0', '^(%d+) (%d+)$')
    return tonumber(granted), tonumber(returned)
  end
  for _, figure in ipairs(ask.figures) do
    local granted, returned = own_of(figure.slot)
    local more, back = math.max(granted, figure.granted), math.max(returned, figure.returned)
    add(figure.slot, (more - granted) - (back - returned))
    redis.call('HSET', own_key, text(figure.slot), text(more) .. ' ' .. text(back))
  end
  local is_recovering = not whole and (is_early or now - since < ask.patience_ms)
  if is_recovering then
    if ask.told ~= cjson.null and (not told or told.at_ms < ask.told.at_ms) then
      told = ask.told
      redis.call('HSET', used_key, 'told', text(told.used) .. ' ' .. text(told.at_ms))
    end
  elseif told then
    -- What nobody has told anew was used by gateways that are gone.
    local known = 0
    for slot, count in pairs(used) do
      if slot <= told.at_ms and slot + ask.span_ms >= told.at_ms then known = known + count end
    end
    if told.used > known then add(told.at_ms - told.at_ms % ask.slot_ms, told.used - known) end
    redis.call('HDEL', used_key, 'told')
  end
  local total, oldest = 0, nil
  for slot, count in pairs(used) do
    if slot + ask.span_ms >= now then
      total = total + count
      if count > 0 and (not oldest or slot < oldest) then oldest = slot end
    end
  end
  total = math.max(total, 0)
  local granted = is_recovering and 0 or math.min(ask.ask, math.max(ask.cap - total, 0))
  local slot = now - now % ask.slot_ms
  local own, back = own_of(slot)
  if granted > 0 then
    own = own + granted
    add(slot, granted)
    redis.call('HSET', own_key, text(slot), text(own) .. ' ' .. text(back))
    if own == granted then
      for old in pairs(hash(own_key)) do
        if tonumber(old) < kept_from then redis.call('HDEL', own_key, old) end
      end
    end
  end
  for at in pairs(changed) do redis.call('HSET', used_key, text(at), text(used[at])) end
  local kept_secs = text(math.ceil((2 * ask.span_ms + KEPT_MS) / 1000))
  redis.call('EXPIRE', used_key, kept_secs)
  redis.call('EXPIRE', own_key, kept_secs)
  local retry = oldest and oldest + ask.span_ms + 1 - now or 0
  local known = is_recovering and (told or { used = 0, at_ms = 0 }) or { used = total + granted, at_ms = now }
  return { granted, slot, own, known.used, known.at_ms, retry, is_recovering and 1 or 0 }
end

local grants = {}
for i, ask in ipairs(cjson.decode(ARGV[5])) do grants[i] = answer(ask, KEYS[2 * i + 1], KEYS[2 * i + 2]) end
local is_recovering = not whole and is_early
return { epoch, now, nodes, is_recovering and 1 or 0, grants }
