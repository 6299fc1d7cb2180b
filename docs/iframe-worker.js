/* Worker in a frame. Browsers refuse workers of pages that are opened from disk, and the search needs one. */
class FrameWorker extends EventTarget {
  constructor(url) {
    super()
    const frame = document.createElement("iframe")
    frame.hidden = true
    document.body.append(frame)
    const inner = frame.contentWindow
    inner.document.write(
      `<script>
        postMessage = (data) => parent.dispatchEvent(new MessageEvent("message", { data, source: window }))
        importScripts = (...urls) => Promise.all(urls.map((url) => new Promise((done, failed) => {
          const script = Object.assign(document.createElement("script"), { src: url, onload: done, onerror: failed })
          document.body.append(script)
        })))
      <\/script><body><script src="${url}"><\/script></body>`
    )
    inner.document.close()
    this.ready = new Promise((done) => inner.addEventListener("load", done))
    this.inner = inner
    window.addEventListener("message", (event) => {
      if (event.source !== inner) return
      const copy = new MessageEvent("message", { data: event.data })
      this.dispatchEvent(copy)
      this.onmessage?.(copy)
    })
  }
  postMessage(data) {
    this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })))
  }
  terminate() {}
}
if (location.protocol === "file:") window.Worker = FrameWorker
