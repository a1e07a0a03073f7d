(function () {
  "use strict";
  // Each figure: side by side, blinking between old and new, or the changed pixels.
  document.querySelectorAll(".pair").forEach(function (pair) {
    var buttons = Array.prototype.slice.call(pair.querySelectorAll("[data-show]"));
    buttons.forEach(function (button) {
      button.addEventListener("click", function () {
        pair.setAttribute("data-view", button.getAttribute("data-show"));
        buttons.forEach(function (b) { b.setAttribute("aria-pressed", String(b === button)); });
      });
    });
  });
  var odd = false;
  setInterval(function () {
    odd = !odd;
    document.querySelectorAll('.pair[data-view="blink"]').forEach(function (pair) {
      pair.setAttribute("data-side", odd ? "new" : "old");
    });
  }, 700);
  // While `paper run --watch` is at work: load the page again when there is a newer one.
  var mine = document.documentElement.getAttribute("data-stamp");
  if (mine) {
    setInterval(function () {
      var script = document.createElement("script");
      script.src = "diff.stamp.js?" + Date.now();
      script.onload = function () {
        script.remove();
        if (window.paperStamp !== mine) { location.reload(); }
      };
      script.onerror = function () { script.remove(); };
      document.head.appendChild(script);
    }, 1000);
  }
})();
