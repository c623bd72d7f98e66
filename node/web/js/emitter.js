// Tells whoever listens. What one part knows reaches the others only this way.

export class Emitter {
  #ears = new Map();

  on(name, ear) {
    const ears = this.#ears.get(name) ?? [];
    this.#ears.set(name, [...ears, ear]);
  }

  emit(name, detail) {
    for (const ear of this.#ears.get(name) ?? []) ear(detail);
  }
}
