"use strict";
// Two comforts, neither needed to read the page: pictures enlarge, charts read out the point under the pointer.
const dialog = document.getElementById("zoomed");
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => {
    const [from, to] = [button.querySelector("img"), dialog.querySelector("img")];
    to.src = from.src;
    to.alt = from.alt;
    dialog.querySelector("p").textContent = from.alt;
    dialog.showModal();
  });
}
dialog.addEventListener("click", (event) => { if (event.target !== dialog.querySelector("p")) dialog.close(); });

const figure = (x) => Number(x.toPrecision(4)).toLocaleString("en").replace("-", "−");
for (const svg of document.querySelectorAll("svg[data-curve]")) {
  const curve = JSON.parse(svg.dataset.curve);
  const [LEFT, RIGHT, TOP, BOTTOM] = curve.plot;
  const output = svg.parentElement.querySelector("output");
  const last = output.textContent;
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  dot.setAttribute("r", 3.5);
  dot.setAttribute("visibility", "hidden");
  svg.append(dot);
  svg.addEventListener("pointermove", (event) => {
    const axis = document.getElementById("axis-step").checked ? "step" : "seconds";
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * (svg.viewBox.baseVal.width / box.width);
    const place = (i) => LEFT + (curve[axis][i] / curve.ends[axis]) * (RIGHT - LEFT);
    let near = -1;
    curve.value.forEach((value, i) => {
      if (value !== null && (near < 0 || Math.abs(place(i) - at) < Math.abs(place(near) - at))) near = i;
    });
    if (near < 0) return;
    const [low, high] = curve.range;
    const height = Math.min(Math.max((curve.value[near] - low) / (high - low), 0), 1);
    dot.setAttribute("cx", place(near));
    dot.setAttribute("cy", BOTTOM - height * (BOTTOM - TOP));
    dot.setAttribute("visibility", "visible");
    output.textContent = `${figure(curve.value[near])} at step ${figure(curve.step[near])}, ${figure(curve.seconds[near])} s`;
  });
  svg.addEventListener("pointerleave", () => {
    dot.setAttribute("visibility", "hidden");
    output.textContent = last;
  });
}
