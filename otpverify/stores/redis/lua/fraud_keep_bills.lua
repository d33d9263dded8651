-- Write `bills`, with `newest`: the nonce and the reply of the newest charge; after fraud_ledger.

if bills == '' then
  call('DEL', KEYS[6])
else
  local last = 0
  for from = 7, #bills, BILL_SIZE do
    last = max(last, (unpack_bytes('>I6', bills, from)))
  end
  call('PSETEX', KEYS[6], last - now, string.char(#bills / BILL_SIZE) .. bills .. newest)
end
