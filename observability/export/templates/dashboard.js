(() => {
  for (const place of document.querySelectorAll("div.plot")) {
    const {data, layout, config} = JSON.parse(place.querySelector("script").textContent)
    place.style.minHeight = `${layout.height ?? 300}px`
    Plotly.newPlot(place, data, {...layout, autosize: true, width: undefined}, config)
  }
})()
