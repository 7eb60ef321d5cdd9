/* The browser's side of spoken.py, which says what the model holds. What stands above and below the line is drawn anew
   at each stage; the line itself stays, so that a screen reader says what changes there. */

const BETS = ["a guess", "unsure", "fairly sure", "certain"];
const SECONDS = 120;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "html") made.innerHTML = value; // ours, escaped in Python
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const above = element("div", {});
  const line = element("p", { role: "status", tabindex: -1 });
  const below = element("div", {});
  const answer = model.get("answer");
  let ticking = 0; // the interval of a clock that runs
  let left = SECONDS * 1000;

  const set = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };

  function say() {
    const waits = "Keeping it ... If this line stays, the kernel is gone: run the cell again.";
    line.textContent = model.get("said") || (model.get("stage") === "done" ? waits : "");
  }

  function stop() {
    clearInterval(ticking);
    ticking = 0;
  }

  function bet() {
    const buttons = BETS.map((name, n) =>
      element("button", { type: "button", onclick: () => set({ bet: n + 1, stage: "speak" }) }, `${n + 1} · ${name}`),
    );
    const label = "Before you answer: how sure are you?";
    return [element("p", {}, label), element("div", { role: "group", "aria-label": label }, ...buttons)];
  }

  function speak() {
    const clock = element("span", { role: "timer", "aria-label": "time left", class: "clock" });
    const toggle = element("button", { type: "button", onclick: () => (ticking ? stop() : start(), show()) });
    const points = element("button", { type: "button", onclick: () => set({ stage: "points" }) }, "Show the points");
    function show() {
      const seconds = Math.ceil(left / 1000);
      clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      toggle.textContent = ticking ? "Stop" : "Start";
      toggle.disabled = left === 0;
    }
    function start() {
      const end = Date.now() + left;
      ticking = setInterval(() => {
        left = Math.max(0, end - Date.now());
        if (left === 0) {
          stop();
          line.textContent = "Two minutes are over: come to an end, then compare.";
        }
        show();
      }, 200);
    }
    show();
    const label = `Your bet is ${model.get("bet")}. Say what you would ask back, then answer aloud.`;
    return [element("p", {}, label), element("div", {}, clock, toggle, points)];
  }

  function compare() {
    const done = model.get("stage") === "done";
    const boxes = answer.points.map((point, n) => {
      const tick = element("input", {
        type: "checkbox",
        checked: model.get("ticks").includes(n),
        disabled: done,
        onchange: () => {
          const others = model.get("ticks").filter((one) => one !== n);
          set({ ticks: tick.checked ? [...others, n] : others });
        },
      });
      return element("label", {}, tick, element("span", { html: point }));
    });
    below.replaceChildren(
      element("h4", {}, "What to ask first"),
      element("ul", {}, ...answer.ask_first.map((html) => element("li", { html }))),
      element("h4", {}, "One way to say it"),
      element("div", { html: answer.model }),
    );
    return [
      element("fieldset", {}, element("legend", {}, "Tick the points that you made"), ...boxes),
      ...(done ? [] : [element("button", { type: "button", onclick: () => set({ stage: "done" }) }, "Done")]),
    ];
  }

  function draw() {
    stop();
    const stage = model.get("stage");
    const held = above.contains(document.activeElement);
    above.replaceChildren(...{ bet, speak, points: compare, done: compare }[stage]());
    say();
    // Who came here by keyboard goes on from here: what had the focus is gone.
    if (held) (stage === "done" ? line : above.querySelector("button, input")).focus();
  }

  // JupyterLab takes Enter for "edit this cell", and before us. Ctrl+S and the like stay its own.
  const plain = (event) => {
    if (el.contains(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  };
  window.addEventListener("keydown", plain, true);

  model.on("change:stage", draw);
  model.on("change:said", say);
  el.classList.add("workbook-spoken");
  el.append(element("section", { "aria-label": `${model.get("name")}, to be said aloud` }, above, line, below));
  draw();
  return () => {
    stop();
    window.removeEventListener("keydown", plain, true);
    model.off("change:stage", draw);
    model.off("change:said", say);
  };
}

export default { render };
