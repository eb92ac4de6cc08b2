// Elementwise functions between linear layers.
//
// Shapes: [rows, columns] with strides in elements. Launch and alignment: as in embed.cu.
#include "rows.cuh"

/** out = silu(gate_up[:, :columns]) * gate_up[:, columns:]. */
extern "C" __global__ void silu_mul(const element* gate_up, int gate_up_stride, element* out,
                                    int out_stride, int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(gate_up, gate_up_stride) && is_aligned(out, out_stride);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    const element* gates = row_of(gate_up, group.row, gate_up_stride);
    Floats8 y = group.load(gates);
    const Floats8 up = group.load(gates + columns);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      y.at[i] = silu(y.at[i]) * up.at[i];
    }
    group.store(row_of(out, group.row, out_stride), y);
  });
}

/** in_out = activation(in_out + bias); bias [columns] or null; see ACTIVATION_* in element.cuh. */
extern "C" __global__ void bias_activation(element* in_out, int in_out_stride, const element* bias,
                                           int activation, int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(in_out, in_out_stride) && is_aligned(bias, 0);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    element* row = row_of(in_out, group.row, in_out_stride);
    Floats8 y = group.load(row);
    Floats8 b = {};
    if (bias != nullptr) {
      b = group.load(bias);
    }
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      y.at[i] = activate(activation, y.at[i] + b.at[i]);
    }
    group.store(row, y);
  });
}
