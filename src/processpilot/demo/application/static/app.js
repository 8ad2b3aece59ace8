// The whole frontend: it shows what the API says and keeps nothing but the login token.

const byId = (id) => document.getElementById(id);
const state = { user: null, roles: [], before: null, open: null };

async function call(path, { method = "GET", body } = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Error("The application cannot be reached.");
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  if (answer.status === 401 && path !== "/api/auth/login") showLogin();
  if (answer.status === 503) throw new Error("The database is away. Please try again shortly.");
  throw new Error(content.error ?? `The application answered ${answer.status}.`);
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

// Runs an action of the user; a failure is shown and leaves the page as it was.
async function attempt(action) {
  try {
    await action();
    notice("");
  } catch (error) {
    notice(error.message);
  }
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function showLogin() {
  sessionStorage.removeItem("token");
  byId("work").hidden = true;
  byId("who").hidden = true;
  byId("login").hidden = false;
}

async function showWork(user, roles) {
  Object.assign(state, { user, roles, open: null });
  byId("user").textContent = user;
  byId("who").hidden = false;
  byId("login").hidden = true;
  byId("work").hidden = false;
  byId("detail").hidden = true;
  await showRequests();
}

async function showRequests({ further = false } = {}) {
  const query = new URLSearchParams(byId("filter").value);
  if (further && state.before) query.set("before", state.before);
  const page = await call(`/api/requests?${query}`);
  const rows = page.items.map(requestRow);
  if (further) byId("rows").append(...rows);
  else byId("rows").replaceChildren(...rows);
  state.before = page.next_before;
  byId("more").hidden = page.next_before === null;
  byId("empty").hidden = byId("rows").childElementCount > 0;
}

function requestRow(request) {
  const row = document.createElement("tr");
  const link = element("a", `${request.title} (${request.type})`);
  link.href = `#${request.id}`;
  const title = document.createElement("td");
  title.append(link);
  row.append(
    element("td", request.id),
    title,
    element("td", request.requester),
    element("td", request.amount ?? ""),
    element("td", request.state, request.state),
  );
  return row;
}

async function showDetail(id) {
  const [request, history] = await Promise.all([
    call(`/api/requests/${id}`),
    call(`/api/requests/${id}/history`),
  ]);
  state.open = id;
  byId("detail-title").textContent = `${id}: ${request.summary.title}`;
  byId("detail-notes").textContent = request.body.notes ?? "";
  byId("steps").replaceChildren(
    ...request.steps.map((step) =>
      element("li", `${step.role}: ${step.state}${step.decided_by ? ` by ${step.decided_by}` : ""}`,
        step.state)),
  );
  const turn = request.steps.find((step) => step.state === "waiting");
  byId("decision").hidden =
    !turn || !state.roles.includes(turn.role) || request.summary.requester === state.user;
  byId("history").replaceChildren(...history.map(historyItem));
  byId("detail").hidden = false;
  byId("detail").scrollIntoView({ block: "nearest" });
}

function historyItem(entry) {
  const item = element("li", `${entry.event.replace("_", " ")} by ${entry.actor} `);
  if (entry.note) item.append(element("q", entry.note));
  item.append(element("small", new Date(entry.created_at).toLocaleString()));
  return item;
}

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const form = new FormData(event.target);
    const login = await call("/api/auth/login", {
      method: "POST",
      body: { user: form.get("user"), password: form.get("password") },
    });
    sessionStorage.setItem("token", login.token);
    event.target.reset();
    await showWork(login.user, login.roles);
  });
});

byId("new-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const form = new FormData(event.target);
    // The key stays with the form until the request is acknowledged, so that a retry is harmless.
    event.target.dataset.key ||= newKey();
    await call("/api/requests", {
      method: "POST",
      body: {
        key: event.target.dataset.key,
        type: form.get("type"),
        title: form.get("title"),
        amount: form.get("amount") || null,
        notes: form.get("notes"),
      },
    });
    delete event.target.dataset.key;
    event.target.reset();
    await showRequests();
  });
});

byId("new-form").addEventListener("input", (event) => {
  delete event.currentTarget.dataset.key; // What was edited is another request.
});

// crypto.randomUUID exists on secure origins only; the demonstration is also opened over HTTP.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

byId("decision").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const note = new FormData(event.target).get("note");
    await call(`/api/requests/${state.open}/${event.submitter.value}`, {
      method: "POST",
      body: { note },
    });
    event.target.reset();
    await Promise.all([showRequests(), showDetail(state.open)]);
  });
});

byId("logout").addEventListener("click", () => attempt(async () => {
  await call("/api/auth/logout", { method: "POST" });
  showLogin();
}));
byId("filter").addEventListener("change", () => attempt(() => showRequests()));
byId("more").addEventListener("click", () => attempt(() => showRequests({ further: true })));
addEventListener("hashchange", () => {
  const id = Number(location.hash.slice(1));
  if (id > 0 && state.user) attempt(() => showDetail(id));
});

attempt(async () => {
  const status = await call("/api/auth/status").catch((error) => {
    showLogin();
    throw error;
  });
  if (!status.authenticated) return showLogin();
  await showWork(status.user, status.roles);
  const id = Number(location.hash.slice(1));
  if (id > 0) await showDetail(id);
});
