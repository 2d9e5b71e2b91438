// A thread that helps the engine: it waits for a ticket and does its share of a convolution, for ever.

onmessage = async ({ data: { module, memory, control, me, threads, stack, work } }) => {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  exports.__stack_pointer.value = stack;
  const slots = new Int32Array(memory.buffer, control, 16);
  postMessage("here");
  for (let ticket = 0; ; ticket++) {
    Atomics.wait(slots, 0, ticket); // comes back at once where the next one is out already
    const [, input, kernel, bias, out, h, w, c, k] = slots;
    exports.convolve(input, kernel, bias, out, work, h, w, c, k, me, threads);
  }
};
