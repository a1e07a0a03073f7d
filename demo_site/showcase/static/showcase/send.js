// Sends a batch: open it, the files in parts one after the other, then hand it over.
const PART_FILES = 20;
const PART_BYTES = 8_000_000;
const SILENCE = 120_000; // milliseconds without a byte sent and without an answer: the line is dead
const PATIENCE = [1, 2, 5, 10, 20]; // seconds before each new try

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

export class Stopped extends Error {}

/** A refusal that no new try would change: `message` is for the visitor. */
export class Refused extends Error {}

export class Sending {
  /** `token` is the form's; `onProgress({done, bytes})` and `onWait(seconds)` are told what happens. */
  constructor(token, { onProgress, onWait }) {
    Object.assign(this, { token, onProgress, onWait, done: 0, bytes: 0, accepted: 0, refused: [] });
    this.request = null;
    this.stopped = false;
    this.batch = null;
  }

  stop() {
    this.stopped = true;
    this.request?.abort();
  }

  /** Send what is not sent yet; may be called again after a failure. */
  async send(address, fields, files) {
    this.batch ??= await this.insist(address, () => {
      const body = new FormData();
      for (const [name, value] of fields) body.append(name, value);
      return body;
    });
    while (this.done < files.length) {
      const part = this.part(files);
      const answer = await this.insist(this.batch.files_url, () => {
        const body = new FormData();
        // What the site is known to have makes a second try harmless: nothing is stored twice.
        body.append("after", this.accepted);
        for (const file of part) body.append("files", file, file.name);
        return body;
      });
      this.accepted += answer.files.filter((one) => one.accepted).length;
      this.refused.push(...answer.files.filter((one) => !one.accepted));
      this.done += part.length;
      this.bytes += part.reduce((sum, file) => sum + file.size, 0);
      this.onProgress({ done: this.done, bytes: this.bytes });
    }
    if (!this.accepted) return null;
    return (await this.insist(this.batch.submit_url, () => new FormData())).url;
  }

  async cancel() {
    this.stop();
    if (!this.batch) return;
    const body = new FormData();
    body.append("csrfmiddlewaretoken", this.token);
    const { cancel_url } = this.batch;
    this.batch = null; // once is enough
    // Where the line is broken the site finds the batch abandoned, later.
    await fetch(cancel_url, { method: "POST", body, redirect: "manual", keepalive: true }).catch(() => {});
  }

  part(files) {
    let end = this.done, size = 0;
    while (end < files.length && end - this.done < PART_FILES) {
      size += files[end].size;
      if (size > PART_BYTES && end > this.done) break;
      end += 1;
    }
    return files.slice(this.done, end);
  }

  async insist(address, body) {
    for (let attempt = 0; ; attempt += 1) {
      if (this.stopped) throw new Stopped();
      const { status, answer } = await this.post(address, body());
      if (this.stopped) throw new Stopped();
      if (status >= 200 && status < 300) return answer;
      const passing = status === 0 || status === 408 || status >= 500;
      if (!passing) throw new Refused(answer?.detail ?? String(status));
      if (attempt === PATIENCE.length) throw new Error(answer?.detail ?? "");
      for (let left = PATIENCE[attempt]; left > 0 && !this.stopped; left -= 1) {
        this.onWait(left);
        await pause(1);
      }
    }
  }

  /** fetch() tells nothing about the way of an upload, XMLHttpRequest does. */
  post(address, body) {
    body.append("csrfmiddlewaretoken", this.token);
    return new Promise((settled) => {
      const request = (this.request = new XMLHttpRequest());
      request.open("POST", address);
      request.setRequestHeader("Accept", "application/json");
      // No limit on the whole: a large file takes as long as a slow line needs.
      let silence;
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => request.abort(), SILENCE);
      };
      request.upload.onprogress = ({ loaded }) => {
        heard();
        this.onProgress({ done: this.done, bytes: this.bytes + loaded });
      };
      request.onloadend = () => {
        clearTimeout(silence);
        let answer = null;
        try { answer = JSON.parse(request.responseText); } catch { /* a proxy's own page */ }
        settled({ status: request.status, answer });
      };
      heard();
      request.send(body);
    });
  }
}
