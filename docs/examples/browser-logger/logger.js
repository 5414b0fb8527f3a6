// Logs predictions from a browser or a phone, online or not. Copy this file; it needs no library and no build.
//
//   const log = new ObservabilityLogger({ url: "https://observability.example.com", token: "…" });
//   await log.prediction({ model: "loan", version: "3", device: "phone-17", features: { age: 41 }, score: 0.62 });
//
// A record waits in IndexedDB until the collector has acknowledged it. It survives a reload and an end of the browser. A record keeps its id,
// so a repeated send stores it once. `log.state` counts the sent, rejected and dropped records.
class ObservabilityLogger {
  constructor({ url, token, name = "observability", most = 10000, batch = 200, every = 5000 }) {
    Object.assign(this, { address: `${url.replace(/\/$/, "")}/api/v1/records`, token, most, batch, every });
    this.state = { sent: 0, rejected: 0, dropped: 0, failure: null };
    this.pause = every;
    this.opening = new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore("queue", { autoIncrement: true });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    addEventListener("online", () => this.flush());
    this.plan(0);
  }

  prediction(record) { return this.write({ kind: "prediction", ...record }); }
  label(record) { return this.write({ kind: "label", ...record }); }

  // Queues a record. Gives true when the record is on disk, false if the queue is full or cannot be written. It never throws.
  async write(record) {
    const whole = { at: new Date().toISOString(), ...record };
    if (whole.kind === "prediction") whole.id ??= crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    try {
      if (await this.waiting() >= this.most) throw new Error("the queue is full");
      await this.change((queue) => queue.add(whole));
      return true;
    } catch (error) {
      this.state.dropped += 1;
      this.state.failure = String(error);
      return false;
    }
  }

  // The number of records that the collector has not acknowledged yet.
  waiting() { return this.change((queue) => queue.count(), "readonly"); }

  // Sends the waiting records, oldest first. Several calls share one run. Tabs of one site take turns if the browser has locks.
  flush() {
    const turn = () => navigator.locks ? navigator.locks.request(this.address, () => this.sendAll()) : this.sendAll();
    this.running ??= turn().catch((error) => { this.state.failure = String(error); return false; })
      .then((done) => { this.running = null; this.pause = done ? this.every : Math.min(this.pause * 2, 300000); return done; });
    return this.running;
  }

  async sendAll() {
    for (let most = this.batch; navigator.onLine !== false;) {
      const { keys, records } = await this.oldest(most);
      if (!keys.length) return true;
      const answer = await fetch(this.address, {
        method: "POST",
        headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/x-ndjson" },
        body: records.map((record) => JSON.stringify(record)).join("\n"),
      });
      if (answer.status === 413 && keys.length > 1) { most = Math.ceil(keys.length / 2); continue; }
      if (![202, 413, 422].includes(answer.status)) {
        this.state.failure = `the collector answered ${answer.status}`;
        this.wait = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
        return false;
      }
      const rejected = answer.status === 202 ? (await answer.json()).rejected.length : keys.length;
      await this.change((queue) => { keys.forEach((key) => queue.delete(key)); return queue.count(); });
      this.state.sent += keys.length - rejected;
      this.state.rejected += rejected;
      this.state.failure = rejected ? `the collector rejected ${rejected} records` : null;
    }
    return false;
  }

  // The oldest records with their keys. `synced_at` is the time of the first attempt to send a record. It is stored, so that a record stays the same.
  async oldest(most) {
    let named;
    const records = await this.change((queue) => { named = queue.getAllKeys(null, most); return queue.getAll(null, most); }, "readonly");
    const keys = named.result;
    const fresh = records.map((record) => !record.synced_at && record.kind !== "label");
    const now = new Date().toISOString();
    records.forEach((record, place) => { if (fresh[place]) record.synced_at = now; });
    const keep = (queue) => { keys.forEach((key, place) => fresh[place] && queue.put(records[place], key)); return queue.count(); };
    if (fresh.includes(true)) await this.change(keep);
    return { keys, records };
  }

  async change(work, mode = "readwrite") {
    const transaction = (await this.opening).transaction("queue", mode);
    const request = work(transaction.objectStore("queue"));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  plan(wait) { setTimeout(() => this.flush().then(() => { const next = Math.max(this.wait ?? 0, this.pause); this.wait = 0; this.plan(next); }), wait); }
}
