// node:crypto, without any HSM: what the software of the machine gives.
import { createCipheriv, createDecipheriv, randomBytes, randomFillSync } from "node:crypto";
import { contend } from "../round.mjs";

const key = randomBytes(32);
const record = Buffer.alloc(256, 7);
const aad = Buffer.from("tenant=7");
const iv = Buffer.alloc(12);

const seal = () => {
  const cipher = createCipheriv("aes-256-gcm", key, randomFillSync(iv)).setAAD(aad);
  return [cipher.update(record), cipher.final(), cipher.getAuthTag()];
};
const [sealed, , tag] = seal();
const sealedIv = Buffer.from(iv);

contend({
  "encrypt sync": () => {
    for (let i = 0; i < 1_000; i++) seal();
    return 1_000;
  },
  "decrypt sync": () => {
    for (let i = 0; i < 1_000; i++) {
      const decipher = createDecipheriv("aes-256-gcm", key, sealedIv).setAAD(aad).setAuthTag(tag);
      decipher.update(sealed);
      decipher.final();
    }
    return 1_000;
  },
});
