const iso =
  /^([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:[0-9]{2}))?)?)?$/i;
const epoch = /^-?[0-9]{5,12}(?:\.[0-9]{1,9})?$|^-?[0-9]{1,3}(?:\.[0-9]{1,9})?$|^-?[0-9]{4}\.[0-9]{1,9}$/;

/**
 * Milliseconds since 1970, or undefined for what is no time: the formats of the W3C's note on ISO 8601
 * (https://www.w3.org/TR/NOTE-datetime), a time of the day with its zone, or seconds since 1970. Four digits are a
 * year.
 */
export function parseMoment(text: string): number | undefined {
  if (epoch.test(text)) return Number(text) * 1000;
  const found = iso.exec(text);
  if (found === null) return undefined;
  const [
    ,
    year,
    month = "01",
    day = "01",
    hour = "00",
    minute = "00",
    second = "00",
    fraction = "0",
    zone = "Z",
  ] = found;
  const date = `${year}-${month}-${day}`;
  const midnight = Date.parse(`${date}T00:00:00Z`);
  // Date.parse takes 30 February for 2 March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) return undefined;
  if (+hour > 23 || +minute > 59 || +second > 59) return undefined;
  const [sign, hours, minutes] = zone === "Z" || zone === "z" ? ["+", 0, 0] : zoneOf(zone);
  if (hours > 23 || minutes > 59) return undefined;
  const offset = (hours * 60 + minutes) * 60_000 * (sign === "-" ? -1 : 1);
  return midnight + ((+hour * 60 + +minute) * 60 + +second) * 1000 + Number(`0.${fraction}`) * 1000 - offset;
}

const zoneOf = (zone: string) => [zone[0], +zone.slice(1, 3), +zone.slice(4)] as const;
