/** Header fields by their names in lower case; what was given more than once is joined by commas. */
export type Fields = ReadonlyMap<string, string>;

/** What of an HTTP request is signed beside its body. */
export interface RequestHead {
  readonly method: string;
  /** Without the query; still percent-encoded. */
  readonly path: string;
  /** What is behind "?"; still percent-encoded. */
  readonly query: string;
  readonly fields: Fields;
}

/**
 * The canonical request of Signature Version 4 ("Create a signed AWS API request" in AWS's documentation), in the
 * rules of every service but S3: paths are normalised and encoded once more. One character is one byte.
 */
export function canonicalRequest(
  { method, path, query, fields }: RequestHead,
  signedHeaders: readonly string[],
  payloadHash: string,
): string {
  let headers = "";
  for (const name of signedHeaders) headers += `${name}:${canonicalValue(fields, name)}\n`;
  const uri = path === "/" ? path : canonicalPath(path);
  const search = query === "" ? query : canonicalQuery(query);
  return `${method}\n${uri}\n${search}\n${headers}\n${signedHeaders.join(";")}\n${payloadHash}`;
}

/** A field that is signed but not there makes a signature that nothing matches: it counts as empty. */
function canonicalValue(fields: Fields, name: string): string {
  const value = (fields.get(name) ?? "").trim();
  return value.includes("  ") ? value.replace(/ +/g, " ") : value;
}

function canonicalPath(path: string): string {
  const segments: string[] = [];
  const given = path.split("/");
  for (const segment of given) {
    if (segment === "..") segments.pop();
    else if (segment !== "." && segment !== "") segments.push(encodeUri(segment));
  }
  const last = given.at(-1);
  const trailing = segments.length > 0 && (last === "" || last === "." || last === "..") ? "/" : "";
  return `/${segments.join("/")}${trailing}`;
}

/** Sorted by name, then by value, both encoded; without the signature itself. */
function canonicalQuery(query: string): string {
  const pairs = queryPairs(query)
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => [encodeUri(name), encodeUri(value)] as const);
  const order = (a: string, b: string) => (a < b ? -1 : Number(a > b));
  pairs.sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

/** The pairs of a query, decoded. A plus is a plus: AWS's clients write a space as %20. */
export function queryPairs(query: string): [name: string, value: string][] {
  const parts = query.split("&").filter((part) => part !== "");
  return parts.map((part) => {
    const at = part.indexOf("=");
    return at === -1 ? [decodeUri(part), ""] : [decodeUri(part.slice(0, at)), decodeUri(part.slice(at + 1))];
  });
}

const decodeUri = (text: string) =>
  text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));

/** RFC 3986: all but the unreserved characters, in capital hex digits. */
const encodeUri = (text: string) =>
  text.replace(
    /[^A-Za-z0-9\-._~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
