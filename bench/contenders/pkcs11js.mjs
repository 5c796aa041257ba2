// pkcs11js at its best: locking on, a private session key, one session for each asynchronous caller.
import { randomFillSync } from "node:crypto";
import pkcs11js from "pkcs11js";
import { contend, inFlight } from "../round.mjs";

const { BENCH_MODULE, BENCH_PIN } = process.env;
const p11 = new pkcs11js.PKCS11();
p11.load(BENCH_MODULE);
p11.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
const [slot] = p11.C_GetSlotList(true);
const open = () => p11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
const session = open();
p11.C_Login(session, pkcs11js.CKU_USER, BENCH_PIN);
const key = p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [
  { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
  { type: pkcs11js.CKA_ENCRYPT, value: true },
  { type: pkcs11js.CKA_DECRYPT, value: true },
  { type: pkcs11js.CKA_PRIVATE, value: true },
  { type: pkcs11js.CKA_SENSITIVE, value: true },
  { type: pkcs11js.CKA_TOKEN, value: false },
]);
const record = Buffer.alloc(256, 7);
const aad = Buffer.from("tenant=7");
const gcm = (iv) => ({
  mechanism: pkcs11js.CKM_AES_GCM,
  parameter: { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv, aad, ivBits: 96, tagBits: 128 },
});
const iv = Buffer.alloc(12);
p11.C_EncryptInit(session, gcm(iv), key);
const sealed = p11.C_Encrypt(session, record, Buffer.alloc(272));

const free = Array.from({ length: 16 }, open);

contend({
  "encrypt sync": () => {
    for (let i = 0; i < 1_000; i++) {
      p11.C_EncryptInit(session, gcm(randomFillSync(iv)), key);
      p11.C_Encrypt(session, record, Buffer.allocUnsafe(272));
    }
    return 1_000;
  },
  "decrypt sync": () => {
    for (let i = 0; i < 1_000; i++) {
      p11.C_DecryptInit(session, gcm(Buffer.alloc(12)), key);
      p11.C_Decrypt(session, sealed, Buffer.allocUnsafe(272));
    }
    return 1_000;
  },
  "encrypt async": () =>
    inFlight(16, 1_600, async () => {
      const one = free.pop();
      p11.C_EncryptInit(one, gcm(randomFillSync(Buffer.allocUnsafe(12))), key);
      await p11.C_EncryptAsync(one, record, Buffer.allocUnsafe(272));
      free.push(one);
    }),
});
