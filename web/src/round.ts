/** Round half to even, as NumPy and PyTorch do. */
export function round(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 ? near - 1 : near;
}
