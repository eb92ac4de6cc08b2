// Pixels of pictures to patches of normalised values.
//
// Launch: grid up to the number of patches, block 256, no dynamic shared memory.
#include "element.cuh"

/**
 * @param pixels channels interleaved, pixels row by row, of all pictures
 * @param places [2, patches]: the offset of a patch's first pixel in bytes, then the bytes of a row
 *     of pixels of its picture
 * @param values [channels, 256] what a byte of a channel stands for
 * @param out [patches, channels * side * side]
 */
extern "C" __global__ void __launch_bounds__(256)
    patches(const u8* pixels, const int* places, int patches, int channels, int side,
            const float* values, element* out, int out_stride) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int area = side * side;
  for (int patch = blockIdx.x; patch < patches; patch += gridDim.x) {
    const u8* first = pixels + places[patch];
    const int row_bytes = places[patches + patch];
    element* target = row_of(out, patch, out_stride);
    for (int column = threadIdx.x; column < channels * area; column += blockDim.x) {
      const int channel = column / area;
      const int pixel = column % area;
      const int value = first[pixel / side * row_bytes + pixel % side * channels + channel];
      target[column] = to_element(values[channel * 256 + value]);
    }
  }
}
