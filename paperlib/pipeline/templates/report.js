(function () {
  "use strict";
  var box = document.getElementById("search");
  var buttons = Array.prototype.slice.call(document.querySelectorAll("[data-filter]"));
  var claims = Array.prototype.slice.call(document.querySelectorAll(".claim"));
  var groups = Array.prototype.slice.call(document.querySelectorAll(".group"));
  var none = document.getElementById("none");
  var count = document.getElementById("count");
  var wanted = "";

  function show() {
    var words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    var seen = 0;
    claims.forEach(function (claim) {
      var text = claim.getAttribute("data-text");
      var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
      var verdicts = claim.getAttribute("data-verdicts").split("|");
      claim.hidden = !(fits && (!wanted || verdicts.indexOf(wanted) >= 0));
      seen += claim.hidden ? 0 : 1;
    });
    groups.forEach(function (group) { group.hidden = !group.querySelector(".claim:not([hidden])"); });
    none.style.display = seen ? "none" : "block";
    count.textContent = seen + " of " + claims.length + " claims";
  }
  box.addEventListener("input", function () {
    show();
    if (box.value) { document.getElementById("verdicts").scrollIntoView(); }
  });
  buttons.forEach(function (button) {
    button.addEventListener("click", function () {
      wanted = button.getAttribute("data-filter");
      buttons.forEach(function (b) { b.setAttribute("aria-pressed", String(b === button)); });
      show();
      document.getElementById("verdicts").scrollIntoView();
    });
  });
  document.addEventListener("keydown", function (event) {
    var typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); box.focus(); }
  });
  document.querySelectorAll("[data-copy]").forEach(function (button) {
    button.addEventListener("click", function () {
      var text = button.getAttribute("data-copy");
      var said = button.textContent;
      function done(word) { button.textContent = word; setTimeout(function () { button.textContent = said; }, 1500); }
      function byHand() {
        var area = document.createElement("textarea");
        area.value = text;
        document.body.appendChild(area);
        area.select();
        var worked = document.execCommand("copy");
        area.remove();
        done(worked ? "copied" : "select it by hand");
      }
      // A page opened from disk has no clipboard of its own in some browsers.
      if (navigator.clipboard && window.isSecureContext) {
        navigator.clipboard.writeText(text).then(function () { done("copied"); }, byHand);
      } else { byHand(); }
    });
  });
  function openLinked() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", openLinked);
  openLinked();
  show();
})();
