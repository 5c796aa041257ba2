import type { TokenInfo } from "../hsm.ts";

interface Substitute {
  /** The mechanism that a token may lack. */
  lacks: string;
  /** Any of these serves instead. */
  needs: readonly string[];
  instead: string;
}

/** What is done another way on a token that lacks the mechanism made for it. */
const SUBSTITUTES: readonly Substitute[] = [
  {
    lacks: "CKM_SP800_108_COUNTER_KDF",
    needs: ["CKM_SHA256_HMAC"],
    instead: "the key of each request is derived by one CKM_SHA256_HMAC in the token",
  },
  {
    lacks: "CKM_AES_KEY_WRAP_KWP",
    needs: ["CKM_AES_KEY_WRAP_PAD"],
    instead: "keys are wrapped by CKM_AES_KEY_WRAP_PAD, which passed the known answer of RFC 5649",
  },
  {
    lacks: "CKM_ECDSA_SHA256",
    needs: ["CKM_ECDSA"],
    instead: "heads of the audit trail are hashed here and signed by CKM_ECDSA in the token",
  },
  {
    lacks: "CKM_RSA_AES_KEY_WRAP",
    needs: ["CKM_RSA_X_509", "CKM_RSA_PKCS_OAEP"],
    instead: "imported keys are decrypted by RSA in the token and unwrapped here, in memory that is wiped",
  },
  {
    lacks: "CKM_AES_GCM",
    needs: ["CKM_SHA256_HMAC"],
    instead: "data is sealed here in any case, under keys that the token derives",
  },
];

/** The rows that apply to a token. */
export function substitutes({ mechanisms }: Pick<TokenInfo, "mechanisms">): Substitute[] {
  const has = new Set(mechanisms.map(({ name }) => name));
  return SUBSTITUTES.filter(({ lacks, needs }) => !has.has(lacks) && needs.some((name) => has.has(name)));
}
