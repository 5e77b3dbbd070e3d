import Testing

import CKernels
