// Charts of a page: one crosshair for all of its time axes, and each chart as an SVG file.
(() => {
  // A figure alone has no menu, so page.css keeps no place for one while the address names the figure.
  const alone = () => document.documentElement.classList.toggle("single-figure", new URLSearchParams(location.search).has("only"))
  alone()
  addEventListener("popstate", alone)
  for (const name of ["pushState", "replaceState"]) {
    const change = history[name].bind(history)
    history[name] = (...to) => {
      change(...to)
      alone()
    }
  }

  const TIME = "date"
  const charts = () => [...document.querySelectorAll(".js-plotly-plot")].filter((chart) => chart._fullLayout?.xaxis?.type === TIME && chart.offsetParent)

  // Draws a line over a chart at one time; draws none if the time lies outside the axis.
  function mark(chart, at) {
    const axis = chart._fullLayout.xaxis
    const left = at === undefined ? NaN : axis.d2p(at)
    let line = chart.querySelector(":scope > .crosshair")
    if (!(left >= 0 && left <= axis._length)) return line?.remove()
    if (!line) {
      line = document.createElement("div")
      line.className = "crosshair"
      chart.append(line)
    }
    const area = chart._fullLayout._size
    Object.assign(line.style, { left: `${axis._offset + left}px`, top: `${area.t}px`, height: `${area.h}px` })
  }

  let asked = false
  let marked = false
  addEventListener("pointermove", (event) => {
    const chart = event.target instanceof Element && event.pointerType !== "touch" ? event.target.closest(".js-plotly-plot") : null
    const axis = chart?._fullLayout?.xaxis
    if (asked || (!marked && axis?.type !== TIME)) return
    asked = true
    requestAnimationFrame(() => {
      asked = false
      const place = axis?.type === TIME ? event.clientX - chart.getBoundingClientRect().left - axis._offset : NaN
      const at = place >= 0 && place <= axis._length ? axis.p2d(place) : undefined
      marked = at !== undefined
      for (const each of charts()) mark(each, at)
    })
  }, { passive: true })

  // In a chart that selects dates, a drag along the time axis is reported to Streamlit as a box. A drag across both axes zooms.
  const ENDS = ["xaxis.range[0]", "xaxis.range[1]"]
  function chosen(chart, change) {
    const { xaxis, yaxis, dragmode } = chart._fullLayout
    if (dragmode !== "zoom" || xaxis.type !== TIME || Object.keys(change).sort().join() !== ENDS.join()) return
    const [y0, y1] = yaxis.range
    const [x0, x1] = ENDS.map((end) => change[end])
    chart.emit("plotly_selected", { points: [], selections: [{ type: "rect", xref: "x", yref: "y", x0, x1, y0, y1 }] })
  }
  addEventListener("pointerdown", (event) => {
    const area = event.target instanceof Element ? event.target.closest(".nsewdrag") : null
    const chart = area?.closest(".js-plotly-plot")
    if (chart?.layout?.meta?.drag !== "dates") return
    const told = (change) => chosen(chart, change)
    chart.on("plotly_relayout", told)
    addEventListener("pointerup", () => setTimeout(() => chart.removeListener("plotly_relayout", told), 1_000), { once: true })
  }, { capture: true })

  // The layers of a chart as one SVG with the chart's current colours. Layers drawn by WebGL are embedded as images.
  function picture(chart) {
    const { width, height } = chart._fullLayout
    const name = "http://www.w3.org/2000/svg"
    const whole = document.createElementNS(name, "svg")
    for (const [key, value] of Object.entries({ xmlns: name, width, height, viewBox: `0 0 ${width} ${height}` })) whole.setAttribute(key, value)
    const ground = document.createElementNS(name, "rect")
    const app = document.querySelector('[data-testid="stApp"]')
    for (const [key, value] of Object.entries({ width: "100%", height: "100%", fill: app ? getComputedStyle(app).backgroundColor : "none" })) ground.setAttribute(key, value)
    whole.append(ground)
    for (const layer of chart.querySelectorAll(".gl-container canvas, .main-svg")) {
      if (layer instanceof HTMLCanvasElement) {
        const image = document.createElementNS(name, "image")
        for (const [key, value] of Object.entries({ width, height, href: layer.toDataURL() })) image.setAttribute(key, value)
        whole.append(image)
      } else if (layer.getAttribute("width") > 0) {
        whole.append(...[...layer.cloneNode(true).childNodes])
      }
    }
    return new XMLSerializer().serializeToString(whole)
  }

  // The link below a chart names the chart: #svg-KEY.
  addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href*="#svg-"]') : null
    if (!link) return
    event.preventDefault()
    const key = decodeURIComponent(link.hash.slice("#svg-".length))
    const chart = document.querySelector(`.st-key-${CSS.escape(key)} .js-plotly-plot`)
    if (!chart?._fullLayout) return
    const file = document.createElement("a")
    file.href = URL.createObjectURL(new Blob([picture(chart)], { type: "image/svg+xml" }))
    file.download = `${key}.svg`
    file.click()
    setTimeout(() => URL.revokeObjectURL(file.href), 10_000)
  }, { capture: true })
})()
