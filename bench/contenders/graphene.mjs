// graphene-pk11 at its best: locking on, a private session key, one prepared buffer for each result.
import { randomFillSync } from "node:crypto";
import graphene from "graphene-pk11";
import { contend, inFlight } from "../round.mjs";

const { BENCH_MODULE, BENCH_PIN } = process.env;
const module = graphene.Module.load(BENCH_MODULE, "SoftHSM");
module.initialize({ flags: 2 }); // CKF_OS_LOCKING_OK
const slot = module.getSlots(0);
const open = () => slot.open(graphene.SessionFlag.SERIAL_SESSION | graphene.SessionFlag.RW_SESSION);
const session = open();
session.login(BENCH_PIN);
const key = session.generateKey(graphene.KeyGenMechanism.AES, {
  keyType: graphene.KeyType.AES,
  valueLen: 32,
  encrypt: true,
  decrypt: true,
  private: true,
  sensitive: true,
  token: false,
});
const record = Buffer.alloc(256, 7);
const aad = Buffer.from("tenant=7");
const algorithm = (iv) => ({ name: "AES_GCM", params: new graphene.AesGcm240Params(iv, aad, 128) });
const iv = Buffer.alloc(12);
const sealed = session.createCipher(algorithm(iv), key).once(record, Buffer.alloc(272));

const callers = Array.from({ length: 16 }, open);
const free = [...callers];
const flight = (use) => {
  const one = free.pop();
  return use(one).finally(() => free.push(one));
};

contend({
  "encrypt sync": () => {
    for (let i = 0; i < 1_000; i++) {
      session.createCipher(algorithm(randomFillSync(iv)), key).once(record, Buffer.allocUnsafe(272));
    }
    return 1_000;
  },
  "decrypt sync": () => {
    for (let i = 0; i < 1_000; i++) {
      session.createDecipher(algorithm(Buffer.alloc(12)), key).once(sealed, Buffer.allocUnsafe(272));
    }
    return 1_000;
  },
  "encrypt async": () =>
    inFlight(16, 1_600, () =>
      flight(
        (one) =>
          new Promise((resolve, reject) => {
            one
              .createCipher(algorithm(randomFillSync(Buffer.allocUnsafe(12))), key)
              .once(record, Buffer.allocUnsafe(272), (error, data) =>
                error ? reject(error) : resolve(data),
              );
          }),
      ),
    ),
});
