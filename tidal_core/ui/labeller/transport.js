// How the labelling component and the gallery talk to the server: requests with the process's token.

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Api {
  constructor(data) {
    this.base = `${data.base}/api/p/${encodeURIComponent(data.slug)}`;
    this.token = data.token;
    this.who = null; // a function that says who looks: what others answered is not shown before their own answer
  }

  with(token) {
    return Object.assign(Object.create(Api.prototype), this, { token });
  }

  // ``signal``: gives the request up before its time is over.
  async request(path, body, timeout = 10000, signal = null) {
    const limit = AbortSignal.timeout(timeout);
    const options = { headers: { "X-Tidal-Token": this.token }, signal: signal ? AbortSignal.any([limit, signal]) : limit };
    if (this.who) options.headers["X-Tidal-Annotator"] = encodeURIComponent(this.who());
    if (body !== undefined) {
      options.method = "POST";
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    const response = await fetch(`${this.base}/${path}`, options);
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      throw new Refused(response.status, problem.error || `the server answered ${response.status}`);
    }
    return response;
  }

  async json(path, body, timeout) {
    return (await this.request(path, body, timeout)).json();
  }
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
