import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { type Body, Intake } from "../lib/server/body.ts";
import { Health } from "../lib/server/health.ts";
import { Metrics } from "../lib/server/metrics.ts";

describe("bodies", () => {
  const MiB = 1 << 20;

  function body(intake: Intake) {
    const stream = new PassThrough({ highWaterMark: 64 * MiB });
    const read: { body?: Body } = {};
    intake.read(stream as unknown as IncomingMessage, (found) => {
      expect(read.body).toBeUndefined();
      read.body = found;
    });
    return { stream, read };
  }
  const piece = Buffer.alloc(MiB / 4);

  test("are read whole, whatever pieces they come in", async () => {
    const { stream, read } = body(new Intake());
    for (const text of ["a", "bc", "", "d"]) stream.write(text);
    stream.end();
    await once(stream, "end");
    expect(Buffer.from(read.body as Uint8Array).toString()).toBe("abcd");
  });

  test("that all together are too many are refused, until there is room again", async () => {
    const intake = new Intake();
    const many = Array.from({ length: 180 }, () => body(intake));
    for (const { stream } of many) for (let i = 0; i < 4; i++) stream.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
    const refused = body(intake);
    refused.stream.end(piece);
    await once(refused.stream, "end");
    expect(refused.read.body).toBe("too many");
    await Promise.all(many.map(({ stream }) => once(stream.destroy(), "close")));
    const taken = body(intake);
    taken.stream.end(piece);
    await once(taken.stream, "end");
    expect(taken.read.body).toHaveLength(piece.length);
    expect(many.every(({ read }) => read.body === undefined)).toBe(true);
  });
});

describe("health", () => {
  test("is asked for once a second, however often it is to be known", async () => {
    let asked = 0;
    const health = new Health(async () => ++asked);
    expect(await Promise.all([health.check(), health.check(), health.check()])).toEqual([true, true, true]);
    expect(asked).toBe(1);
  });

  test("is not there while the HSM fails, or does not answer", { timeout: 10_000 }, async () => {
    expect(await new Health(() => Promise.reject(new Error("away"))).check()).toBe(false);
    expect(await new Health(() => new Promise(() => {})).check()).toBe(false);
  });
});

describe("metrics", () => {
  const gauges = { handles: { open: 1, limit: 2, hits: 3, misses: 4 }, available: false, connections: 5 };

  test("count what ended and what is under way, in buckets that add up", () => {
    const metrics = new Metrics();
    const began = metrics.begin();
    metrics.begin();
    metrics.end(began - 7, "Encrypt", undefined);
    metrics.end(metrics.begin() - 60_000, "Encrypt", "DisabledException");
    const lines = metrics.text(gauges).split("\n");
    expect(lines).toContain('keystead_requests_total{operation="Encrypt",outcome="OK"} 1');
    expect(lines).toContain('keystead_requests_total{operation="Encrypt",outcome="DisabledException"} 1');
    expect(lines).toContain("keystead_requests_in_flight 1");
    expect(lines).toContain("keystead_hsm_available 0");
    const bucket = (le: string) => `keystead_request_seconds_bucket{operation="Encrypt",le="${le}"}`;
    expect(lines).toContain(`${bucket("0.005")} 0`);
    expect(lines).toContain(`${bucket("0.025")} 1`);
    expect(lines).toContain(`${bucket("10")} 1`);
    expect(lines).toContain(`${bucket("+Inf")} 2`);
    expect(lines).toContain('keystead_request_seconds_count{operation="Encrypt"} 2');
  });

  test("are each described once", () => {
    const names = [...new Metrics().text(gauges).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("keystead_hsm_handle_misses_total");
  });
});
