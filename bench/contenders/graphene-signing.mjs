// graphene-pk11 signing at its best: a private session key, no lock.
import graphene from "graphene-pk11";
import { contend } from "../round.mjs";

const { BENCH_MODULE, BENCH_PIN } = process.env;
const module = graphene.Module.load(BENCH_MODULE, "SoftHSM");
module.initialize();
const session = module
  .getSlots(0)
  .open(graphene.SessionFlag.SERIAL_SESSION | graphene.SessionFlag.RW_SESSION);
session.login(BENCH_PIN);
const { privateKey } = session.generateKeyPair(
  graphene.KeyGenMechanism.RSA,
  {
    keyType: graphene.KeyType.RSA,
    modulusBits: 2048,
    publicExponent: Buffer.from([1, 0, 1]),
    verify: true,
    token: false,
  },
  { keyType: graphene.KeyType.RSA, sign: true, private: true, sensitive: true, token: false },
);
const message = Buffer.alloc(256, 7);

contend({
  "rsa-2048-sign sync": () => {
    for (let i = 0; i < 100; i++) session.createSign("SHA256_RSA_PKCS", privateKey).once(message);
    return 100;
  },
});
