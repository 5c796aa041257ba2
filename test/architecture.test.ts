import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** The rooms of the house from the top down; a room may import only from itself and from rooms below its line. */
const floors = [
  ["cli"],
  ["index"],
  ["kms"],
  ["envelope", "server"],
  ["worker"],
  ["request"],
  ["operations"],
  ["operation"],
  ["batch"],
  ["identities"],
  ["keys", "marker"],
  ["key-stores"],
  ["secrets"],
  ["access"],
  ["algorithms"],
  ["shapes", "ciphertext", "config"],
  ["arn", "shape", "failure", "json", "sigv4"],
  ["errors"],
  ["hsm", "store", "audit"],
];
const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)));

function walk(directory: string, ending: RegExp): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? walk(path, ending) : ending.test(entry.name) ? [path] : [];
  });
}

/** "lib/store/sqlite.ts" and "lib/store.ts" are both the room "store". */
const roomOf = (file: string) => (relative("lib", file).split("/")[0] as string).replace(/\.ts$/, "");

const sources = walk("lib", /\.ts$/);
const imports = sources.flatMap((file) => {
  const text = readFileSync(join(root, file), "utf8");
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?"(\.[^"]+)"/g)].map(
    (match) => match[1] as string,
  );
  return specifiers.map((specifier) => ({ file, target: join(dirname(file), specifier) }));
});

describe("the house", () => {
  test("has a floor for every room", () => {
    expect([...new Set(sources.map(roomOf))].filter((room) => !floorOf.has(room))).toEqual([]);
  });

  test("imports point down", () => {
    const up = imports.filter(({ file, target }) => {
      const [from, to] = [roomOf(file), roomOf(target)];
      return from !== to && (floorOf.get(from) ?? -1) >= (floorOf.get(to) ?? -1);
    });
    expect(up.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
  });

  test("a room is entered by its door only", () => {
    const past = imports.filter(({ file, target }) => {
      const inside = relative("lib", target).includes("/");
      return inside && roomOf(file) !== roomOf(target);
    });
    expect(past.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
  });

  test("no file is longer than 400 lines", () => {
    const files = [
      ...sources,
      ...walk("native", /\.(cc|h)$/),
      ...walk("bench", /\.mjs$/),
      ...walk("setup", /\.mjs$/),
    ];
    const long = files.filter((file) => readFileSync(join(root, file), "utf8").split("\n").length > 401);
    expect(long).toEqual([]);
  });

  test("the engine knows nothing of Node", () => {
    const knowing = walk("native/engine", /\.(cc|h)$/).filter((file) =>
      /#include\s*[<"](napi|node|uv)/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(knowing).toEqual([]);
  });

  test("docs/architecture.md names every file, and no other", () => {
    const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
    const named = [...text.matchAll(/^\| `([^`]+\.[^`]+)` \|/gm)].flatMap(([, name = ""]) => {
      const [stem, endings] = name.split(/[{}]/);
      return endings === undefined ? [name] : endings.split(",").map((ending) => stem + ending);
    });
    const files = [
      ...sources,
      ...walk("native", /\.(cc|h)$/),
      ...walk("setup", /\.mjs$/),
      ...walk("bench", /\.(mjs|cc)$/),
    ];
    expect(named.toSorted()).toEqual(files.toSorted());
  });
});
