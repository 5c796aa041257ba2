"""Writes signatures/*.json: right signatures, wrong ones and public keys that are none, for test/public-key.test.ts.

Made with the package cryptography (48, OpenSSL 4) and by hand, with nothing of Keystead's. Those with a tcId in their
comment are of Wycheproof (C2SP/wycheproof, testvectors_v1, Apache-2.0).
"""
import hashlib, json, os
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

HASHES = {"SHA-256": (hashes.SHA256(), "sha256"), "SHA-384": (hashes.SHA384(), "sha384"), "SHA-512": (hashes.SHA512(), "sha512")}
groups, keys = [], []


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def group(scheme, hash, key):
    g = {"scheme": scheme, **({"hash": hash} if hash else {}), "publicKey": key.hex(), "tests": []}
    groups.append(g)
    return lambda comment, input, signature, valid=False: g["tests"].append(
        {"comment": comment, "input": input.hex(), "signature": signature.hex(), "valid": valid})


def der(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    size = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + size + content


def signed(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


# RSA: encoded messages by hand, put through the private key as they are.
def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def mgf1(name, seed, size):
    out = b"".join(hashlib.new(name, seed + i.to_bytes(4, "big")).digest() for i in range(size // 20 + 1))
    return out[:size]


def pss(name, digest, size, salt, trailer=0xBC, separator=1, padding_byte=0, mgf=None, top=0, prefix=bytes(8)):
    h = hashlib.new(name, prefix + digest + salt).digest()
    block = bytes([padding_byte]) * (size - len(salt) - len(h) - 2) + bytes([separator]) + salt
    masked = bytearray(xor(block, mgf1(mgf or name, h, len(block))))
    masked[0] = masked[0] & 0x7F | top
    return bytes(masked) + h + bytes([trailer])


INFO = {"sha256": "3031300d060960864801650304020105000420", "sha384": "3041300d060960864801650304020205000430",
        "sha512": "3051300d060960864801650304020305000440"}

for bits, hash in ((2048, "SHA-256"), (3072, "SHA-384"), (4096, "SHA-512")):
    key = rsa.generate_private_key(65537, bits)
    n, d, size = key.public_key().public_numbers().n, key.private_numbers().d, bits // 8
    algorithm, name = HASHES[hash]
    digest = hashlib.new(name, b"a message").digest()
    raw = lambda encoded: pow(int.from_bytes(encoded, "big"), d, n).to_bytes(size, "big")
    salt = os.urandom(len(digest))

    test = group("rsa-pss", hash, spki(key))
    good = key.sign(digest, padding.PSS(padding.MGF1(algorithm), len(digest)), Prehashed(algorithm))
    test("of another library", digest, good, True)
    test("by hand", digest, raw(pss(name, digest, size, salt)), True)
    test("another digest", hashlib.new(name, b"another").digest(), good)
    test("no salt", digest, raw(pss(name, digest, size, b"")))
    test("a salt too short", digest, raw(pss(name, digest, size, salt[1:])))
    test("a salt too long", digest, raw(pss(name, digest, size, salt + b"x")))
    test("the longest salt", digest, raw(pss(name, digest, size, bytes(size - len(digest) - 2))))
    test("another trailer", digest, raw(pss(name, digest, size, salt, trailer=0xCC)))
    test("no separator", digest, raw(pss(name, digest, size, salt, separator=0)))
    test("another separator", digest, raw(pss(name, digest, size, salt, separator=2)))
    test("padding that is not zero", digest, raw(pss(name, digest, size, salt, padding_byte=4)))
    test("MGF1 by SHA-1", digest, raw(pss(name, digest, size, salt, mgf="sha1")))
    test("another prefix", digest, raw(pss(name, digest, size, salt, prefix=b"\1" * 8)))
    test("PKCS #1 v1.5", digest, key.sign(digest, padding.PKCS1v15(), Prehashed(algorithm)))

    check = group("rsa-pkcs1", hash, spki(key))
    info = bytes.fromhex(INFO[name])
    encoded = lambda body, fill=0xFF, first=b"\0\1", end=b"\0": first + bytes([fill]) * (size - len(body) - len(first) - len(end)) + end + body
    check("of another library", digest, key.sign(digest, padding.PKCS1v15(), Prehashed(algorithm)), True)
    check("by hand", digest, raw(encoded(info + digest)), True)
    check("another digest", hashlib.new(name, b"another").digest(), raw(encoded(info + digest)))
    check("no DigestInfo", digest, raw(encoded(digest)))
    check("DigestInfo without NULL", digest, raw(encoded(der(0x30, der(0x30, info[4:15]), der(4, digest)))))
    check("DigestInfo with something behind it", digest, raw(encoded(info + digest + b"\0")))
    check("DigestInfo with a long length", digest, raw(encoded(b"\x30\x81" + info[1:] + digest)))
    check("DigestInfo of another hash", digest, raw(encoded(info[:14] + bytes([info[14] ^ 3]) + info[15:] + digest)))
    check("garbage behind a short padding", digest, raw(b"\0\1" + b"\xff" * 8 + b"\0" + info + digest + bytes(size - 11 - len(info) - len(digest))))
    check("another padding", digest, raw(encoded(info + digest, fill=0xFE)))
    check("block type 2", digest, raw(encoded(info + digest, first=b"\0\2")))
    check("block type 0", digest, raw(encoded(info + digest, fill=0, first=b"\0\0")))
    check("no zero in front of DigestInfo", digest, raw(encoded(info + digest, end=b"")))
    check("PSS", digest, good)
    for add, signature in ((test, good), (check, raw(encoded(info + digest)))):
        number = int.from_bytes(signature, "big")
        add("empty", digest, b"")
        add("a byte too short", digest, signature[:-1])
        add("a byte too long", digest, signature + b"\0")
        add("a zero in front", digest, b"\0" + signature)
        if (number + n).bit_length() <= bits: add("plus the modulus", digest, (number + n).to_bytes(size, "big"))
        add("plus the modulus, longer", digest, (number + n).to_bytes(size + 1, "big"))
        add("minus", digest, (n - number).to_bytes(size, "big"))
        for value in (0, 1, n - 1, n): add(f"the number {value if value < 2 else 'n' if value == n else 'n - 1'}", digest, value.to_bytes(size, "big"))
        for bit in (0, 1, 8 * size // 2, 8 * size - 8):
            add(f"bit {bit} flipped", digest, (number ^ 1 << bit).to_bytes(size, "big"))

# ECDSA: r and s by another library, DER by hand.
for curve, hash in ((ec.SECP256R1(), "SHA-256"), (ec.SECP384R1(), "SHA-384"), (ec.SECP521R1(), "SHA-512"), (ec.SECP256K1(), "SHA-256")):
    key = ec.generate_private_key(curve)
    order = curve.group_order
    algorithm, name = HASHES[hash]
    digest = hashlib.new(name, b"a message").digest()
    good = key.sign(digest, ec.ECDSA(Prehashed(algorithm)))
    r, s = decode_dss_signature(good)
    R, S = signed(r), signed(s)
    test = group("ecdsa", hash, spki(key))
    test("of another library", digest, good, True)
    test("by hand", digest, der(0x30, R, S), True)
    test("the other s", digest, der(0x30, R, signed(order - s)), True)
    test("another digest", hashlib.new(name, b"another").digest(), good)
    test("r and s swapped", digest, der(0x30, S, R))
    for a in (0, 1, -1, order - 1, order, order + 1, r):
        for b in (0, 1, -1, order - 1, order, order + 1, s):
            if (a, b) != (r, s): test("special values of r and s", digest, der(0x30, signed(a), signed(b)))
    for change in (order, -order, 256 * order, 1 << 8 * ((curve.key_size + 7) // 8), 1 << 1024):
        test("r changed by what a careless reader leaves out", digest, der(0x30, signed(r + change), S))
        test("s changed by what a careless reader leaves out", digest, der(0x30, R, signed(s + change)))
    test("-r", digest, der(0x30, signed(-r), S))
    test("-s", digest, der(0x30, R, signed(-s)))
    body = R + S
    n = len(body)
    test("r and s in a row", digest, r.to_bytes((curve.key_size + 7) // 8, "big") + s.to_bytes((curve.key_size + 7) // 8, "big"))
    test("length in a longer form", digest, b"\x30\x82" + n.to_bytes(2, "big") + body)
    test("length with leading zeros", digest, b"\x30\x84" + n.to_bytes(4, "big") + body)
    test("length of 2^31", digest, b"\x30\x84\x80\0\0\0" + body)
    test("length of 2^64 - 1", digest, b"\x30\x88" + b"\xff" * 8 + body)
    test("length that overflows", digest, b"\x30\x89\x01" + n.to_bytes(8, "big") + body)
    test("indefinite length", digest, b"\x30\x80" + body + b"\0\0")
    test("indefinite length without an end", digest, b"\x30\x80" + body)
    test("a byte behind", digest, good + b"\0")
    test("a NULL behind", digest, good + b"\5\0")
    test("a NULL within", digest, der(0x30, body, b"\5\0"))
    test("a third number", digest, der(0x30, body, S))
    test("only r", digest, der(0x30, R))
    test("an empty sequence", digest, der(0x30))
    test("empty", digest, b"")
    test("a zero in front of r", digest, der(0x30, der(2, b"\0" + R[2:]), S))
    test("a zero in front of s", digest, der(0x30, R, der(2, b"\0" + S[2:])))
    test("r with a longer length", digest, der(0x30, b"\2\x81" + R[1:], S))
    test("s with a longer length", digest, der(0x30, R, b"\2\x81" + S[1:]))
    test("r that is empty", digest, der(0x30, b"\2\0", S))
    test("s that is empty", digest, der(0x30, R, b"\2\0"))
    test("a byte missing", digest, good[:-1])
    for tag in (0x31, 0x10, 0x70, 0xB0, 0): test(f"tag {tag:02x} for the sequence", digest, bytes([tag]) + good[1:])
    for tag in (0x03, 0x04, 0x0A, 0x22, 0x42, 0x82): test(f"tag {tag:02x} for r", digest, der(0x30, bytes([tag]) + R[1:], S))

# ECDSA of Wycheproof: ecdsa_secp256r1_sha256_test.json.
def wycheproof(key):
    return group("ecdsa", "SHA-256", bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200" + key))

sha = lambda text: hashlib.sha256(bytes.fromhex(text)).digest()
test = wycheproof("0404aaec73635726f213fb8a9e64da3b8632e41495a944d0045b522eba7240fad587d9315798aaa3a5ba01775787ced05eaaf7b4e09fc81d6d1aa546e8365d525d")
for tc, message, signature in (
    (1, "", "3045022100b292a619339f6e567a305c951c0dcbcc42d16e47f219f9e98e76e09d8770b34a02200177e60492c5a8242f76f07bfe3661bde59ec2a17ce5bd2dab2abebdf89a62e2"),
    (2, "4d7367", "30450220530bd6b0c9af2d69ba897f6b5fb59695cfbf33afe66dbadcf5b8d2a2a6538e23022100d85e489cb7a161fd55ededcedbf4cc0c0987e3e3f0f242cae934c72caa3f43e9"),
    (3, "313233343030", "3046022100a8ea150cb80125d7381c4c1f1da8e9de2711f9917060406a73d7904519e51388022100f3ab9fa68bd47973a73b2d40480c2ba50c22c9d76ec217257288293285449b86"),
    (4, "00" * 20, "3045022100986e65933ef2ed4ee5aada139f52b70539aaf63f00a91f29c69178490d57fb7102203dafedfb8da6189d372308cbf1489bbbdabf0c0217d1c0ff0f701aaa7a694b9c"),
): test(f"tcId {tc}", sha(message), bytes.fromhex(signature), True)
test = wycheproof("042927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9685001558d1a974e7341513e")
R = "02202ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18"
S = "022100b329f479a2bbd0a5c384ee1493b1f5186a87139cac5df4087c134b49156847db"
for tc, signature in (
    (5, "3044" + R + "02204cd60b855d442f5b3c7b11eb6c4e0ae7525fe710fab9aa7c77a67f79e6fadd76"), (6, "3044" + R + "0220" + S[6:]),
    (7, "3045" + R + S), (8, "308145" + R + S), (9, "30820045" + R + S), (10, "3046" + R + S), (11, "3044" + R + S),
    (12, "30850100000045" + R + S), (13, "3089010000000000000045" + R + S), (14, "30847fffffff" + R + S), (15, "308480000000" + R + S),
    (16, "3084ffffffff" + R + S), (17, "3085ffffffffff" + R + S), (18, "3088ffffffffffffffff" + R + S),
    (149, "3046" + R + "0222ff" + S[4:]), (150, "3025" + R + "090180"), (151, "3025" + R + "020100"),
    (152, "30460221012ba3a8bd6b94d5ed80a6d9d1190a436ebccc0833490686deac8635bcb9bf5369" + S),
    (155, "30450220d45c5741946b2a137f59262ee6f5bc91001af27a5e1117a64733950642a3d1e8" + S),
    (156, "3046022100d45c5740946b2a147f59262ee6f5bc90bd01ed280528b62b3aed5fc93f06f739" + S),
    (158, "3046022101" + R[4:] + S), (168, "3006020100020100"), (169, "3006020100020101"), (170, "30060201000201ff"),
): test(f"tcId {tc}", sha("313233343030"), bytes.fromhex(signature), tc in (5, 7))

# Ed25519.
L = 2**252 + 27742317777372353535851937790883648493
key = ed25519.Ed25519PrivateKey.generate()
test = group("ed25519", None, spki(key))
for message in (b"", b"x", b"a message", bytes(300)):
    good = key.sign(message)
    test("of another library", message, good, True)
    test("another message", message + b"\0", good)
    s = int.from_bytes(good[32:], "little")
    for times in range(1, 16):
        if s + times * L < 2**256: test("S plus a multiple of the order", message, good[:32] + (s + times * L).to_bytes(32, "little"))
    for bit in range(0, 512, 37):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        test(f"bit {bit} flipped", message, bytes(flipped))
for signature in (b"", bytes(64), good[:63], good + b"\0", b"\0" + good, good[32:] + good[:32]): test("another form", bytes(300), signature)
# ed25519_test.json of Wycheproof.
test = group("ed25519", None, bytes.fromhex("302a300506032b65700321007d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa"))
zero, one, order, p = "00" * 32, "01" + "00" * 31, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", "ed" + "ff" * 30 + "7f"
below = "ec" + order[2:]
for tc, signature in ((13, zero + order), (14, zero + p), (15, one + zero), (16, one + one), (17, one + below), (18, one + order), (19, one + p),
                      (20, order + zero), (21, order + one), (22, order + below), (23, order + order), (24, order + p),
                      (25, p + zero), (26, p + one), (27, p + below), (28, p + order), (29, p + p)):
    test(f"tcId {tc}", b"\x3f", bytes.fromhex(signature))
R, S = "7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab0", "7a9155711ecfaf7f99f277bad0c6ae7e39d4eef676573336a5c51eb6f946b30d"
test("what tcId 30 to 37 were made of", b"Test", bytes.fromhex(R + S), True)
for tc, signature in ((30, ""), (31, R), (32, (R + S)[:-4]), (33, R + S + "2020"), (35, "00" + R + S), (36, R + "00" + S), (37, R + S + "00")):
    test(f"tcId {tc}", b"Test", bytes.fromhex(signature))
# RFC 8032, 7.3.
test = group("ed25519ph", None, bytes.fromhex("302a300506032b6570032100ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"))
good = bytes.fromhex("98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406")
digest = hashlib.sha512(b"abc").digest()
seed = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"))
test("of the RFC", digest, good, True)
test("another digest", hashlib.sha512(b"abd").digest(), good)
test("plain Ed25519 of the digest", digest, seed.sign(digest))
s = int.from_bytes(good[32:], "little")
for times in range(1, 15): test("S plus a multiple of the order", digest, good[:32] + (s + times * L).to_bytes(32, "little"))
for signature in (b"", bytes(64), good[:63], good + b"\0"): test("another form", digest, signature)
for bit in range(0, 512, 37):
    flipped = bytearray(good)
    flipped[bit // 8] ^= 1 << bit % 8
    test(f"bit {bit} flipped", digest, bytes(flipped))

# ML-DSA.
for name in ("44", "65", "87"):
    key = getattr(mldsa, f"MLDSA{name}PrivateKey").generate()
    good = key.sign(b"a message")
    test = group("ml-dsa", None, spki(key))
    test("of another library", b"a message", good, True)
    test("another message", b"a messagf", good)
    test("a byte too short", b"a message", good[:-1])
    # The last bytes are the hint's: more of them than there may be.
    test("a hint out of bounds", b"a message", good[:-1] + b"\xff")
    test("with a context", b"a message", key.sign(b"a message", b"context"))
    raw = key.public_key().public_bytes_raw()
    tr = hashlib.shake_256(raw).digest(64)
    mu = hashlib.shake_256(tr + b"\0\0" + b"a message").digest(64)
    test = group("ml-dsa-mu", None, spki(key))
    test("of another library", mu, good, True)
    test("mu of another message", hashlib.shake_256(tr + b"\0\0" + b"another").digest(64), good)

# Public keys that are none.
refuse = lambda comment, key: keys.append({"comment": comment, "publicKey": key.hex()})
good = spki(ec.generate_private_key(ec.SECP256R1()))
head, point = good[:26], good[26:]
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
refuse("empty", b"")
refuse("a byte behind", good + b"\0")
refuse("a byte missing", good[:-1])
refuse("a point beside its curve", good[:-1] + bytes([good[-1] ^ 1]))
refuse("x = 0, y = 0", head + b"\4" + bytes(64))
x = int.from_bytes(point[1:33], "big")
refuse("x = p", head + b"\4" + P.to_bytes(32, "big") + point[33:])
refuse("a point in hybrid form", head + bytes([6 + (point[64] & 1)]) + point[1:])
algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
refuse("a compressed point", der(0x30, algorithm, der(3, b"\0", bytes([2 + (point[64] & 1)]) + point[1:33])))
refuse("the point at infinity", der(0x30, algorithm, der(3, b"\0\0")))
refuse("unused bits", der(0x30, algorithm, der(3, b"\1", point)))
refuse("another curve's name", good.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030101")))
refuse("a length in a longer form", b"\x30\x81" + good[1:])
refuse("no curve", der(0x30, bytes.fromhex("300906072a8648ce3d0201"), der(3, b"\0", point)))
refuse("P-224", spki(ec.generate_private_key(ec.SECP224R1())))
refuse("brainpoolP256r1", spki(ec.generate_private_key(ec.BrainpoolP256R1())))
for bits in (1024, 2047, 2560): refuse(f"RSA of {bits} bits", spki(rsa.generate_private_key(65537, bits)))
n = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
number = lambda n, e: der(0x30, bytes.fromhex("300d06092a864886f70d0101010500"), der(3, b"\0", der(0x30, signed(n), signed(e))))
for e in (-1, 0, 1, 2, 3, 65536, 2**64 + 1): refuse(f"RSA with the exponent {e}", number(n, e))
refuse("RSA of 2049 bits", number(n << 1 | 1 | 1 << 2048, 65537))
refuse("RSA with an even modulus", number(n - 1, 65537))
refuse("RSA with a negative modulus", number(-n, 65537))
refuse("RSA without NULL", number(n, 65537).replace(bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("300b06092a864886f70d010101")))
refuse("RSASSA-PSS's own key type", der(0x30, bytes.fromhex("300b06092a864886f70d01010a"), der(3, b"\0", der(0x30, signed(n), signed(65537)))))
for point in ("01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, "00" * 31 + "80", "ed" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f",
              "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
              "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"):
    refuse("Ed25519 of small order", bytes.fromhex("302a300506032b6570032100" + point))
refuse("Ed25519 beside the curve", bytes.fromhex("302a300506032b6570032100" + "02" + "00" * 31))
refuse("Ed25519 too short", bytes.fromhex("3029300506032b6570032000" + "58" + "66" * 30))
refuse("Ed25519 with parameters", bytes.fromhex("302c300706032b65700500032100" + "58" + "66" * 31))
refuse("X25519", spki(x25519.X25519PrivateKey.generate()))
refuse("Ed448", spki(ed448.Ed448PrivateKey.generate()))
refuse("DSA", spki(dsa.generate_private_key(2048)))
refuse("ML-DSA too short", spki(mldsa.MLDSA44PrivateKey.generate())[:-1])

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "signatures")
os.makedirs(folder, exist_ok=True)
families = {"rsa": ("rsa-pss", "rsa-pkcs1"), "ecdsa": ("ecdsa",), "eddsa": ("ed25519", "ed25519ph"), "ml-dsa": ("ml-dsa", "ml-dsa-mu")}
files = {name: [g for g in groups if g["scheme"] in schemes] for name, schemes in families.items()}
for name, content in {**files, "not-keys": keys}.items():
    with open(os.path.join(folder, f"{name}.json"), "w") as out:
        json.dump(content, out, indent=1)
        out.write("\n")
