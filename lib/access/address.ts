import { isIP } from "node:net";

/** An address as 16-bit groups: two for IPv4, eight for IPv6. */
type Groups = readonly number[];

/** A range of addresses in CIDR form; one address alone is a range of its own. Undefined for anything else. */
export function parseRange(text: string): ((address: Groups) => boolean) | undefined {
  const slash = text.indexOf("/");
  const written = slash < 0 ? text : text.slice(0, slash);
  const base = parseAddress(written);
  if (base === undefined) return undefined;
  let bits = base.length * 16;
  if (slash >= 0) {
    const prefix = text.slice(slash + 1);
    if (!/^[0-9]{1,3}$/.test(prefix)) return undefined;
    // An IPv4 address that was written as IPv6 counts its prefix from there.
    bits = Number(prefix) - (written.includes(":") && base.length === 2 ? 96 : 0);
    if (bits < 0 || bits > base.length * 16) return undefined;
  }
  const masks = base.map((_, i) => 0xffff & ~(0xffff >> Math.min(16, Math.max(0, bits - 16 * i))));
  return (address) =>
    address.length === base.length &&
    masks.every((mask, i) => ((address[i] as number) & mask) === ((base[i] as number) & mask));
}

/** IPv4 addresses mapped into IPv6 (`::ffff:192.0.2.1`), as sockets of both kinds have them, are IPv4. */
export function parseAddress(text: string): Groups | undefined {
  const version = text.includes("%") ? 0 : isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return four(text);
  const dotted = text.lastIndexOf(".") < 0 ? undefined : text.slice(text.lastIndexOf(":") + 1);
  const hex = dotted === undefined ? text : `${text.slice(0, -dotted.length)}0:0`;
  const [head = "", tail] = hex.split("::");
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  if (dotted !== undefined) all.splice(6, 2, ...four(dotted));
  const mapped = all[5] === 0xffff && all.slice(0, 5).every((group) => group === 0);
  return mapped ? all.slice(6) : all;
}

const groups = (text: string) =>
  text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));

function four(text: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}
