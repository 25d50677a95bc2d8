// Quizzes: choose first, reveal after. Without this script the explanations unfold by themselves.
// Built into a classic script, so that it also runs from file://. Answers stay in this browser,
// until the reader saves them as a file for `llmcourse progress --quiz`.

/** @typedef {{right: number, answered: number, questions: number, when: string}} Score */

const ANSWERS = "llmcourse.quiz.";
const SCORES = "llmcourse.quiz-score.";

const store = {
  /** @param {string} key @returns {Record<string, any>} */
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(key) ?? "") || {};
    } catch {
      return {};
    }
  },
  /** @param {string} key @param {Record<string, any> | null} value null: forget it */
  set(key, value) {
    try {
      if (value) localStorage.setItem(key, JSON.stringify(value));
      else localStorage.removeItem(key);
    } catch {
      // Private windows and full stores: the quiz works, it only forgets.
    }
  },
};

/** @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {string} className @param {string} [text] */
function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** What a browser holds of all quizzes, as a file's text. */
function results() {
  /** @type {Record<string, Record<string, any>>} */
  const quizzes = {};
  try {
    for (const key of Object.keys(localStorage).sort())
      if (key.startsWith(SCORES)) quizzes[key.slice(SCORES.length)] = store.get(key);
  } catch {
    // No store: nothing was remembered.
  }
  return `${JSON.stringify({ format: "llmcourse-quizzes", version: 1, quizzes }, null, 1)}\n`;
}

/** A changed question forgets its old answer. @param {string} text */
function fingerprint(text) {
  let hash = 5381;
  for (const character of text) hash = ((hash * 33) ^ (character.codePointAt(0) ?? 0)) >>> 0;
  return hash.toString(36);
}

/** @param {HTMLElement} quiz */
function start(quiz) {
  const key = ANSWERS + quiz.dataset.quiz;
  const say = /** @type {Record<string, string>} */ (quiz.dataset);
  const answers = store.get(key);
  const questions = [.../** @type {NodeListOf<HTMLElement>} */ (quiz.querySelectorAll(".quiz-question"))].map(question);
  const foot = make("div", "quiz-foot");
  const score = make("p", "quiz-score");
  const again = make("button", "quiz-again", say.again);
  const save = make("button", "quiz-save", say.save);
  const reading = make("div", "quiz-reading");
  score.setAttribute("role", "status");
  reading.setAttribute("role", "status");
  again.type = save.type = "button";
  save.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([results()], { type: "application/json" }));
    const link = make("a", "");
    link.href = address;
    link.download = "llmcourse-quizzes.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    score.textContent = say.saved;
  });
  again.addEventListener("click", () => {
    for (const item of questions) item.forget();
    store.set(key, {});
    count(true);
    questions[0].focus();
  });
  foot.append(score, again, save);
  quiz.append(foot);
  if (say.start) quiz.append(reading);
  quiz.classList.add("is-live");
  count(false);

  /** @param {boolean} changed a choice was made or forgotten, now */
  function count(changed) {
    const done = questions.filter((item) => item.first() !== null);
    const right = done.filter((item) => item.first()).length;
    const left = questions.length - done.length;
    again.hidden = save.hidden = done.length === 0;
    /** @type {Score} */
    const now = { right, answered: done.length, questions: questions.length, when: new Date().toISOString() };
    const held = store.get(SCORES + quiz.dataset.quiz);
    // Answers that were given before results were kept count as of today.
    if (changed || (done.length && held.answered !== done.length)) store.set(SCORES + quiz.dataset.quiz, done.length ? now : null);
    score.textContent = done.length === 0 ? "" : (left ? say.score : say.done)
      .replace("{right}", String(right))
      .replace("{answered}", String(done.length))
      .replace("{left}", String(left));
    if (say.start) recommend(done);
  }

  // A self-test: the sections of the questions missed so far, each once, in their order.
  /** @param {ReturnType<typeof question>[]} done */
  function recommend(done) {
    const missed = done.filter((item) => !item.first()).flatMap((item) => item.read());
    const links = [...new Map(missed.map((link) => [link.getAttribute("href"), link])).values()];
    const list = make("ul", "");
    for (const link of links) {
      const item = make("li", "");
      item.append(link.cloneNode(true));
      list.append(item);
    }
    const finished = done.length === questions.length;
    reading.replaceChildren();
    if (links.length) reading.append(make("p", "", say.start), list);
    else if (finished) reading.append(make("p", "", say.none));
  }

  /** @param {HTMLElement} field */
  function question(field) {
    const id = fingerprint(field.textContent ?? "");
    const options = [.../** @type {NodeListOf<HTMLElement>} */ (field.querySelectorAll(".quiz-option"))];
    /** @template {Element} E @param {E | null} found @returns {E} the directive wrote it */
    const sure = (found) => /** @type {E} */ (found);
    const inputs = options.map((option) => sure(option.querySelector("input")));
    const whys = options.map((option) => sure(option.querySelector("details")));
    const check = make("button", "quiz-check", say.check);
    const verdict = make("p", "quiz-verdict");
    const line = make("div", "quiz-line");
    check.type = "button";
    verdict.setAttribute("role", "status");
    verdict.setAttribute("aria-live", "polite");
    line.append(check, verdict);
    field.append(line);
    for (const why of whys) why.hidden = true;

    check.addEventListener("click", () => reveal(true));
    field.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const radio = event.target instanceof HTMLInputElement && event.target.type === "radio";
      if (event.key === "Enter" && radio) {
        event.preventDefault();
        reveal(true);
      }
      // Letters choose an option, as they are printed beside them.
      const place = event.key.length === 1 ? event.key.toLowerCase().charCodeAt(0) - 97 : -1;
      if (radio && inputs[place] && !inputs[place].disabled) {
        inputs[place].checked = true;
        inputs[place].focus();
      }
    });

    /** @param {boolean} asked by the reader, now */
    function reveal(asked) {
      const chosen = inputs.findIndex((input) => input.checked);
      if (chosen < 0) {
        verdict.textContent = say.choose;
        inputs[0].focus();
        return;
      }
      const right = options[chosen].dataset.answer === "true";
      field.classList.add("is-answered");
      options.forEach((option, i) => {
        whys[i].hidden = false;
        whys[i].open = true;
        option.classList.toggle("is-chosen", i === chosen);
        inputs[i].disabled = i !== chosen;
        if (i === chosen) {
          const mark = make("span", "quiz-yours", ` (${say.yours})`);
          option.querySelector(".quiz-mark")?.append(mark);
        }
      });
      check.hidden = true;
      verdict.textContent = `${right ? "✓" : "✗"} ${right ? say.right : say.wrong}`;
      if (asked) {
        answers[id] = chosen;
        store.set(key, answers);
        count(true);
        // The button that had the focus is gone: keep the reader's place.
        inputs[chosen].focus();
      }
    }

    const item = {
      /** @returns {boolean | null} */
      first() {
        return field.classList.contains("is-answered")
          ? options.some((option) => option.matches(".is-chosen") && option.dataset.answer === "true")
          : null;
      },
      read() {
        return [...field.querySelectorAll(".quiz-read a")];
      },
      forget() {
        delete answers[id];
        field.classList.remove("is-answered");
        for (const mark of field.querySelectorAll(".quiz-yours")) mark.remove();
        options.forEach((option, i) => {
          option.classList.remove("is-chosen");
          whys[i].hidden = true;
          inputs[i].disabled = false;
          inputs[i].checked = false;
        });
        check.hidden = false;
        verdict.textContent = "";
      },
      focus() {
        inputs[0].focus();
      },
    };
    // Browsers restore radio buttons on reload; only a remembered answer counts.
    for (const input of inputs) input.checked = false;
    const kept = answers[id];
    if (Number.isInteger(kept) && inputs[kept]) {
      inputs[kept].checked = true;
      reveal(false);
    }
    return item;
  }
}

for (const quiz of document.querySelectorAll(".quiz")) start(/** @type {HTMLElement} */ (quiz));
