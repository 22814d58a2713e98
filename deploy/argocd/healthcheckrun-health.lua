-- Argo CD health check for HealthCheckRun. Add this text to the ConfigMap argocd-cm under the key
-- resource.customizations.health.gpuhealth.dev_HealthCheckRun. A sync then waits for the run to end, and a run used as a
-- sync hook fails the sync if it fails.
local status = {status = "Progressing", message = "waiting for the operator"}
if obj.status == nil or obj.status.conditions == nil then
  return status
end
-- The conditions are outdated while they describe an older spec, for example before the operator has seen a cancel.
if obj.status.observedGeneration ~= nil and obj.metadata.generation ~= nil
    and obj.status.observedGeneration < obj.metadata.generation then
  return status
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    status.message = condition.message
    if condition.status == "True" then
      status.status = "Healthy"
      return status
    end
  end
  if condition.type == "Stalled" and condition.status == "True" then
    status.status = "Degraded"
    status.message = condition.message
    return status
  end
end
return status
