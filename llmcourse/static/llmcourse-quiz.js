// Quizzes: choose first, reveal after. Without this script the explanations unfold by themselves.
// A classic script, so that it also runs from file://. Answers stay in this browser.
(() => {
  "use strict";

  const store = {
    get(key) {
      try {
        return JSON.parse(localStorage.getItem(key)) || {};
      } catch {
        return {};
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(key, JSON.stringify(value));
      } catch {
        // Private windows and full stores: the quiz works, it only forgets.
      }
    },
  };

  function make(tag, className, text) {
    const element = document.createElement(tag);
    element.className = className;
    if (text) element.textContent = text;
    return element;
  }

  // A changed question forgets its old answer.
  function fingerprint(text) {
    let hash = 5381;
    for (const character of text) hash = ((hash * 33) ^ character.codePointAt(0)) >>> 0;
    return hash.toString(36);
  }

  function start(quiz) {
    const key = `llmcourse.quiz.${quiz.dataset.quiz}`;
    const say = quiz.dataset;
    const answers = store.get(key);
    const questions = [...quiz.querySelectorAll(".quiz-question")].map(question);
    const foot = make("div", "quiz-foot");
    const score = make("p", "quiz-score");
    const again = make("button", "quiz-again", say.again);
    const reading = make("div", "quiz-reading");
    score.setAttribute("role", "status");
    reading.setAttribute("role", "status");
    again.type = "button";
    again.addEventListener("click", () => {
      for (const item of questions) item.forget();
      store.set(key, {});
      count();
      questions[0].focus();
    });
    foot.append(score, again);
    quiz.append(foot);
    if (say.start) quiz.append(reading);
    quiz.classList.add("is-live");
    count();

    function count() {
      const done = questions.filter((item) => item.first() !== null);
      const right = done.filter((item) => item.first()).length;
      const left = questions.length - done.length;
      again.hidden = done.length === 0;
      score.textContent = done.length === 0 ? "" : (left ? say.score : say.done)
        .replace("{right}", right)
        .replace("{answered}", done.length)
        .replace("{left}", left);
      if (say.start) recommend(done);
    }

    // A self-test: the sections of the questions missed so far, each once, in their order.
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

    function question(field) {
      const id = fingerprint(field.textContent);
      const options = [...field.querySelectorAll(".quiz-option")];
      const inputs = options.map((option) => option.querySelector("input"));
      const check = make("button", "quiz-check", say.check);
      const verdict = make("p", "quiz-verdict");
      const line = make("div", "quiz-line");
      check.type = "button";
      verdict.setAttribute("role", "status");
      verdict.setAttribute("aria-live", "polite");
      line.append(check, verdict);
      field.append(line);
      for (const option of options) option.querySelector("details").hidden = true;

      check.addEventListener("click", () => reveal(true));
      field.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.altKey || event.metaKey) return;
        if (event.key === "Enter" && event.target.type === "radio") {
          event.preventDefault();
          reveal(true);
        }
        // Letters choose an option, as they are printed beside them.
        const place = event.key.length === 1 ? event.key.toLowerCase().charCodeAt(0) - 97 : -1;
        if (event.target.type === "radio" && inputs[place] && !inputs[place].disabled) {
          inputs[place].checked = true;
          inputs[place].focus();
        }
      });

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
          const why = option.querySelector("details");
          why.hidden = false;
          why.open = true;
          option.classList.toggle("is-chosen", i === chosen);
          inputs[i].disabled = i !== chosen;
          if (i === chosen) {
            const mark = make("span", "quiz-yours", ` (${say.yours})`);
            option.querySelector(".quiz-mark").append(mark);
          }
        });
        check.hidden = true;
        verdict.textContent = `${right ? "✓" : "✗"} ${right ? say.right : say.wrong}`;
        if (asked) {
          answers[id] = chosen;
          store.set(key, answers);
          count();
          // The button that had the focus is gone: keep the reader's place.
          inputs[chosen].focus();
        }
      }

      const item = {
        first() {
          return field.classList.contains("is-answered")
            ? field.querySelector(".is-chosen").dataset.answer === "true"
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
            option.querySelector("details").hidden = true;
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

  for (const quiz of document.querySelectorAll(".quiz")) start(quiz);
})();
