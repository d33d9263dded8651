"use strict";

// The server writes the page's HTML, escaped, one page of messages at a time. This script fetches
// the page again whenever something changes and moves what is new over; it never builds HTML from
// text.
(() => {
  const element = (id) => document.getElementById(id);
  const list = element("messages");
  const [state, clear, mark, options] = ["state", "clear", "mark", "options"].map(element);
  const [announce, none, help, search] = ["announce", "none", "help", "search"].map(element);
  const embedded = document.documentElement.classList.contains("embedded");
  let fetching = false;
  let stale = false;
  let clearing = false;
  let newestAt = null; // of the newest message that the stream named; null before it names any
  let latest = ""; // when the newest message came that the page or the stream had

  // What this browser remembers. A frame of another site may have no storage.
  const chosen = {
    get(name, fallback) {
      try {
        return (localStorage.getItem(`otpverify-inbox-${name}`) ?? fallback) === "on";
      } catch {
        return fallback === "on";
      }
    },
    set(name, on) {
      try {
        localStorage.setItem(`otpverify-inbox-${name}`, on ? "on" : "off");
      } catch {
        // It holds until the page is closed.
      }
    },
  };
  const DEFAULTS = { sound: "off", notify: "off", keys: "on" };

  function showState(live) {
    const text = live ? "Live" : "Reconnecting";
    state.classList.toggle("live", live);
    if (state.textContent !== text) state.textContent = text;
  }

  // Times, in the reader's own zone

  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

  function ago(at) {
    const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
    if (seconds < 10) return "now";
    if (seconds < 60) return relative.format(-seconds, "second");
    if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
    if (seconds < 86400) return relative.format(-Math.floor(seconds / 3600), "hour");
    return at.toLocaleDateString();
  }

  const full = (at) => at.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  const SHOWN = { ago, clock: (at) => at.toLocaleTimeString([], { hour12: false }), full };

  function showTimes(root) {
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      const text = SHOWN[time.dataset.shown](at);
      if (time.textContent !== text) time.textContent = text;
      time.title = full(at);
    }
  }

  // The page, and what changes on it

  function where() {
    return new URLSearchParams(location.search);
  }

  // Change fields of the page's address; null takes one away.
  function go(fields, { remember = false } = {}) {
    const query = where();
    for (const [name, value] of Object.entries(fields)) {
      if (value === null || value === "") query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    const to = text ? `${location.pathname}?${text}` : location.pathname;
    // A frame's steps would be steps of the page around it.
    history[remember && !embedded ? "pushState" : "replaceState"](null, "", to);
    return refresh();
  }

  function focusedPlace() {
    const at = document.activeElement;
    const holder = at?.dataset?.key && at.closest("[id]:not([data-key])");
    return holder ? { at, holder: holder.id, key: at.dataset.key } : null;
  }

  function returnFocus(place) {
    if (!place || document.contains(place.at)) return;
    const holder = element(place.holder);
    holder?.querySelector(`[data-key="${place.key}"]`)?.focus({ preventScroll: true });
  }

  function takeOver(page, id) {
    const [old, fresh] = [element(id), page.getElementById(id)];
    if (old.isEqualNode(fresh)) return;
    old.replaceWith(fresh);
  }

  function cameAt(item) {
    return item?.querySelector("time").dateTime ?? "";
  }

  // What came before is not new, even if a search did not show it.
  function noteLatest() {
    for (const at of [newestAt ?? "", cameAt(list.firstElementChild)]) if (at > latest) latest = at;
  }

  function applyMessages(page) {
    const fresh = [...page.querySelectorAll("#messages > li")];
    const kept = new Set(fresh.map((item) => item.id));
    for (const item of [...list.children]) if (!kept.has(item.id)) item.remove();
    const added = [];
    let next = list.firstElementChild;
    for (const item of fresh) {
      const shown = element(item.id);
      if (shown && shown.dataset.state === item.dataset.state) {
        if (shown === next) next = next.nextElementSibling;
        else list.insertBefore(shown, next);
        continue;
      }
      showTimes(item);
      if (shown) {
        if (shown === next) next = next.nextElementSibling;
        const hint = item.querySelector(".hint"); // it may say "Copied"
        if (hint) hint.textContent = shown.querySelector(".hint")?.textContent ?? "Copy";
        shown.remove();
      } else if (cameAt(item) > latest) {
        added.push(item);
      }
      list.insertBefore(item, next);
    }
    return added;
  }

  function apply(page) {
    const place = focusedPlace();
    const added = applyMessages(page);
    noteLatest();
    const detail = element("detail");
    const fresh = page.getElementById("detail");
    const opens = fresh.dataset.id !== detail.dataset.id;
    if (fresh.dataset.state !== detail.dataset.state) {
      showTimes(fresh);
      detail.replaceWith(fresh);
    }
    document.documentElement.classList.toggle("opened", fresh.dataset.id !== "");
    for (const id of ["counts", "pager"]) takeOver(page, id);
    none.textContent = page.getElementById("none").textContent;
    none.nextElementSibling.textContent = page.querySelector("#empty p").textContent;
    showTotals();
    returnFocus(place);
    if (opens && fresh.dataset.id) {
      element("opened").focus({ preventScroll: true });
      fresh.scrollTop = 0;
      if (fresh.getBoundingClientRect().top < 0) scrollTo(0, 0);
    } else if (opens && place?.holder === "detail") {
      (element(`m-${detail.dataset.id}`)?.querySelector(".to") ?? none).focus();
    }
    if (list.children.length === 0) {
      announce.textContent = "";
      // The button is about to be disabled, which would leave the focus nowhere.
      if (clearing) none.focus();
    }
    clearing = false;
    if (added.length) {
      for (const item of added) item.classList.add("new");
      const code = added[0].querySelector(".code");
      const to = added[0].querySelector(".to").textContent;
      announce.textContent = `New message to ${to}` + (code ? `, code ${code.dataset.code}` : "");
    }
  }

  function showTotals() {
    const unread = element("unread").textContent;
    const some = unread !== "0";
    clear.disabled = element("counts").dataset.kept === "0";
    mark.disabled = !some;
    document.title = (some ? `(${unread}) ` : "") + "Inbox - otpverify sandbox";
  }

  async function refresh() {
    stale = true;
    if (fetching) return;
    fetching = true;
    try {
      while (stale) {
        stale = false;
        const reply = await fetch(location.pathname + location.search, { cache: "no-store" });
        if (!reply.ok) throw new Error(String(reply.status));
        apply(new DOMParser().parseFromString(await reply.text(), "text/html"));
      }
      showState(true);
    } catch {
      showState(false);
      setTimeout(refresh, 2000);
    } finally {
      fetching = false;
    }
  }

  function listen() {
    const events = new EventSource("/events");
    events.addEventListener("outbox", (event) => {
      hear(JSON.parse(event.data).newest);
      refresh();
    });
    events.onerror = () => {
      showState(false);
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    };
  }

  // Sound and notification

  function hear(newest) {
    const at = newest?.received_at ?? "";
    const isNew = newestAt !== null && at > newestAt;
    if (newestAt === null) latest = at > latest ? at : latest;
    if (newestAt === null || isNew) newestAt = at;
    if (!isNew) return;
    if (element("sound").checked) play();
    if (element("notify").checked && window.Notification?.permission === "granted") {
      const title = newest.code ? `Code ${newest.code}` : "New message";
      new Notification(title, { body: newest.to, tag: "otpverify-inbox" });
    }
  }

  let audio = null;

  function play() {
    audio ??= new AudioContext();
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.15, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.25);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.25);
  }

  for (const name of Object.keys(DEFAULTS)) {
    const box = element(name);
    box.checked = chosen.get(name, DEFAULTS[name]);
    box.addEventListener("change", async () => {
      if (name === "notify" && box.checked) {
        const allowed = (await window.Notification?.requestPermission()) === "granted";
        box.checked = allowed;
        if (!allowed) announce.textContent = "The browser does not allow notifications here.";
      }
      if (name === "sound" && box.checked) play();
      chosen.set(name, box.checked);
    });
  }

  // What one does with messages

  async function change(path, method, body) {
    const headers = body ? { "Content-Type": "application/json" } : {};
    try {
      await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      return true;
    } catch {
      showState(false);
      return false;
    }
  }

  async function copy(button) {
    const hint = button.querySelector(".hint");
    try {
      await navigator.clipboard.writeText(button.dataset.code);
      hint.textContent = "Copied";
      announce.textContent = "Code copied";
    } catch {
      // Frames and plain http hosts may have no clipboard: leave the code selected.
      getSelection().selectAllChildren(button.querySelector(".digits"));
      hint.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    const unread = button.closest(".message.unread");
    if (unread) change("/read", "POST", { id: unread.id.slice(2) });
    setTimeout(() => {
      for (const one of document.querySelectorAll(".hint")) one.textContent = "Copy";
    }, 1500);
  }

  async function remove(id) {
    const row = element(`m-${id}`);
    const next = row?.nextElementSibling ?? row?.previousElementSibling;
    if (!(await change(`/messages/${id}`, "DELETE"))) return;
    await go(where().get("id") === id ? { id: null } : {});
    announce.textContent = "Message deleted";
    const still = next && element(next.id);
    (still?.querySelector(".to") ?? none).focus();
  }

  function row() {
    return document.activeElement?.closest?.(".message") ?? null;
  }

  function selected() {
    const at = row();
    return at ? at.id.slice(2) : element("detail").dataset.id;
  }

  function step(by) {
    const rows = [...list.children];
    const open = element(`m-${element("detail").dataset.id}`);
    const at = rows.indexOf(row() ?? open);
    const next = at < 0 ? rows[0] : rows[at + by];
    next?.querySelector(".to").focus();
  }

  function follow(link) {
    if (!link) return null;
    const query = new URL(link.href).searchParams;
    return go({ before: query.get("before"), id: query.get("id") }, { remember: true });
  }

  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    c: () => {
      const button = (row() ?? element("detail")).querySelector(".code");
      if (button) copy(button);
    },
    d: () => {
      if (selected()) remove(selected());
    },
    m: () => change("/read", "POST", {}),
    n: () => follow(document.querySelector(".pager .older")),
    p: () => follow(document.querySelector(".pager .newer")),
    "/": () => search.elements.q.focus(),
    "?": () => help.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (help.open || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.matches?.("input, select, textarea");
    if (event.key === "Escape") {
      if (typing && search.elements.q.value === "") event.target.blur();
      else if (!typing && where().has("id")) go({ id: null }, { remember: true });
      return;
    }
    const key = { ArrowDown: "j", ArrowUp: "k", Delete: "d" }[event.key] ?? event.key;
    // Arrows move on from a message only, for they scroll everything else.
    if (typing || !Object.hasOwn(KEYS, key) || (event.key.startsWith("Arrow") && !row())) return;
    if (event.key === key && !element("keys").checked) return;
    event.preventDefault();
    KEYS[key]();
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest("a, button");
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (target.matches(".code")) copy(target);
    if (target.matches(".delete")) remove(element("detail").dataset.id);
    if (target.matches(".to, .close, .pager a")) {
      event.preventDefault();
      follow(target);
    }
  });
  clear.addEventListener("click", async () => {
    clearing = true;
    if (await change("/messages", "DELETE")) await go({ before: null, id: null });
    else clearing = false;
  });
  mark.addEventListener("click", () => change("/read", "POST", {}));
  options.addEventListener("click", () => help.showModal());

  let typed = 0;
  function find() {
    const { q, status } = search.elements;
    go({ q: q.value.trim(), status: status.value, before: null, id: null });
  }
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(find, 120);
  });
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typed);
    find();
  });
  addEventListener("popstate", () => {
    search.elements.q.value = where().get("q") ?? "";
    search.elements.status.value = where().get("status") ?? "";
    refresh();
  });

  document.documentElement.classList.add("scripted");
  clear.hidden = mark.hidden = options.hidden = state.hidden = false;
  showTimes(document);
  showTotals();
  noteLatest();
  setInterval(() => showTimes(document), 10000);
  listen();
})();
