-- Argo CD: how healthy is a HealthCheckRun? Put this text into the ConfigMap argocd-cm, under the key
-- resource.customizations.health.gpuhealth.dev_HealthCheckRun. A sync then waits for the end of the run, and a sync hook
-- fails with it. The conditions are those of the table in the API's documentation; the same in every version.
local status = {status = "Progressing", message = "waiting for the operator"}
if obj.status == nil or obj.status.conditions == nil then
  return status
end
-- What is said about an older spec (a cancel that the operator has not seen yet) is not the last word.
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
